package ottla.compatibility;

import java.util.HashMap;
import java.util.List;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterClientQuotasOptions;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialAlteration;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** Who may do what, and how much: as a broker answers that has neither authentication nor an authorizer. */
final class AdminTourSecurity {
    private final AdminTour tour;
    private final Admin admin;

    AdminTourSecurity(AdminTour tour) {
        this.tour = tour;
        this.admin = tour.admin;
    }

    void run() {
        acls();
        tokens();
        credentials();
        quotas();
    }

    private void acls() {
        tour.answer("describeAcls", () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
        var binding = new AclBinding(
                new ResourcePattern(ResourceType.TOPIC, "any", PatternType.LITERAL),
                new AccessControlEntry("User:any", "*", AclOperation.READ, AclPermissionType.ALLOW));
        tour.done("createAcls", () -> admin.createAcls(List.of(binding)).all());
        tour.done("deleteAcls", () -> admin.deleteAcls(List.of(binding.toFilter())).all());
    }

    private void tokens() {
        tour.answer("createDelegationToken", () -> admin.createDelegationToken().delegationToken().get());
        tour.answer("describeDelegationToken", () -> admin.describeDelegationToken().delegationTokens().get());
        tour.answer("renewDelegationToken", () -> admin.renewDelegationToken(new byte[4]).expiryTimestamp().get());
        tour.answer("expireDelegationToken", () -> admin.expireDelegationToken(new byte[4]).expiryTimestamp().get());
    }

    private void credentials() {
        var sha256 = ScramMechanism.SCRAM_SHA_256;
        tour.answer("describeUserScramCredentials", () -> admin.describeUserScramCredentials().all().get());
        tour.answer("describeUserScramCredentials of nobody", () -> admin.describeUserScramCredentials(List.of("nobody")).all().get());
        tour.answer("describeUserScramCredentials twice", () -> admin.describeUserScramCredentials(List.of("nobody", "nobody")).all().get());
        alter("deleted of nobody", new UserScramCredentialDeletion("nobody", sha256));
        alter("with few iterations",
                new UserScramCredentialUpsertion("few", new ScramCredentialInfo(sha256, 1), "secret"));
        alter("without a user", new UserScramCredentialUpsertion("", new ScramCredentialInfo(sha256, 4096), "secret"));
        alter("inserted", new UserScramCredentialUpsertion("tourist", new ScramCredentialInfo(sha256, 4096), "secret"));
        tour.settle();
        tour.answer("describeUserScramCredentials then", () -> admin.describeUserScramCredentials().all().get());
        alter("deleted", new UserScramCredentialDeletion("tourist", sha256));
    }

    private void alter(String what, UserScramCredentialAlteration alteration) {
        tour.answer("alterUserScramCredentials " + what,
                () -> AdminTour.each(admin.alterUserScramCredentials(List.of(alteration)).values()));
    }

    private void quotas() {
        describe("", ClientQuotaFilter.all());
        alter("checked", entity("user", "tourist"), "producer_byte_rate", 1e6, true);
        alter("of an unknown kind", entity("user", "tourist"), "no_such_rate", 1.0, false);
        alter("below nothing", entity("user", "tourist"), "producer_byte_rate", -1.0, false);
        alter("of an unknown entity", entity("planet", "earth"), "producer_byte_rate", 1.0, false);
        alter("of an address by bytes", entity("ip", "127.0.0.9"), "producer_byte_rate", 1.0, false);
        alter("of what is no address", entity("ip", "not an address"), "connection_creation_rate", 1.0, false);
        alter("with a fraction", entity("user", "tourist"), "producer_byte_rate", 1.5, false);
        alter("set", entity("user", "tourist"), "producer_byte_rate", 1e9, false);
        alter("set for all users", entity("user", null), "consumer_byte_rate", 1e9, false);
        alter("set for a client", entity("client-id", "guide"), "request_percentage", 200.5, false);
        tour.settle();
        describe(" then", ClientQuotaFilter.all());
        describe(" of an unknown entity", ClientQuotaFilter.contains(List.of(ClientQuotaFilterComponent.ofEntityType("planet"))));
        describe(" of users twice", ClientQuotaFilter.contains(List.of(
                ClientQuotaFilterComponent.ofEntityType("user"), ClientQuotaFilterComponent.ofEntity("user", "a"))));
        describe(" of addresses and users", ClientQuotaFilter.contains(List.of(
                ClientQuotaFilterComponent.ofEntityType("user"), ClientQuotaFilterComponent.ofEntityType("ip"))));
        alter("removed", entity("user", "tourist"), "producer_byte_rate", null, false);
        alter("removed for all users", entity("user", null), "consumer_byte_rate", null, false);
        alter("removed for a client", entity("client-id", "guide"), "request_percentage", null, false);
        tour.settle();
        describe(" at the end", ClientQuotaFilter.all());
    }

    private static ClientQuotaEntity entity(String type, String name) {
        var entries = new HashMap<String, String>();
        entries.put(type, name);
        return new ClientQuotaEntity(entries);
    }

    private void describe(String what, ClientQuotaFilter filter) {
        tour.answer("describeClientQuotas" + what, () -> {
            var described = new HashMap<String, Object>();
            admin.describeClientQuotas(filter).entities().get()
                    .forEach((entity, values) -> described.put(AdminTour.text(entity.entries()), values));
            return described;
        });
    }

    private void alter(String what, ClientQuotaEntity entity, String key, Double value, boolean check) {
        tour.done("alterClientQuotas " + what, () -> admin.alterClientQuotas(
                List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op(key, value)))),
                new AlterClientQuotasOptions().validateOnly(check)).all());
    }
}
