import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's command line tools one after the other in one machine, which is much faster than one for each.
 *
 * <p>A line of standard input is {@code {"tool": CLASS, "arguments": [...], "input": TEXT}}; the line of standard output
 * for it is {@code {"status": N, "output": TEXT, "errors": TEXT}}.
 */
public final class Tools {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Ends a tool in place of the whole machine. */
    private static final class Exited extends RuntimeException {
        private Exited() {
            super(null, null, false, false);
        }
    }

    /** With what the running tool exited first: some take the end of their main part for a failure. */
    private static Integer exited;

    /** What the running tool does at the end of its machine. */
    private static final List<Runnable> hooks = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        var output = new ByteArrayOutputStream();
        var errors = new ByteArrayOutputStream();
        System.setOut(new PrintStream(output, true));
        System.setErr(new PrintStream(errors, true));
        Exit.setExitProcedure((status, message) -> {
            if (message != null) {
                System.err.println(message);
            }
            if (exited == null) {
                exited = status;
            }
            throw new Exited();
        });
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode order = JSON.readTree(line);
            System.setIn(new ByteArrayInputStream(order.path("input").asText().getBytes()));
            int status = run(order);
            hooks.forEach(Runnable::run);
            hooks.clear();
            System.out.flush();
            var answer = Map.of("status", status, "output", output.toString(), "errors", errors.toString());
            answers.println(JSON.writeValueAsString(answer));
            output.reset();
            errors.reset();
        }
        Runtime.getRuntime().halt(0);
    }

    private static int run(JsonNode order) throws Exception {
        List<String> arguments = new ArrayList<>();
        order.get("arguments").forEach(argument -> arguments.add(argument.asText()));
        var main = Class.forName(order.get("tool").asText()).getMethod("main", String[].class);
        exited = null;
        try {
            main.invoke(null, (Object) arguments.toArray(String[]::new));
        } catch (InvocationTargetException failure) {
            if (!(failure.getCause() instanceof Exited)) {
                failure.getCause().printStackTrace();
                return -1;
            }
        }
        return exited == null ? 0 : exited;
    }
}
