//! The logs of the broker's own. They are in the same store as those of topics, and no topic.

use uuid::Uuid;

/// Name and id of a log. The ids are fixed: they exist before any topic can be looked up.
pub(crate) type InternalLog = (&'static str, Uuid);

/// Where the catalog is logged.
pub(crate) const CATALOG: InternalLog = ("__cluster_metadata", Uuid::from_u128(1));

/// Where groups and their offsets are logged.
pub(crate) const GROUPS: InternalLog = ("__ottla_groups", Uuid::from_u128(2));

/// Where transactions are logged.
pub(crate) const TRANSACTIONS: InternalLog = ("__ottla_transactions", Uuid::from_u128(3));

const ALL: [InternalLog; 3] = [CATALOG, GROUPS, TRANSACTIONS];

/// Whether a log of the broker's own has this name.
pub(crate) fn is_name(name: &str) -> bool {
    ALL.iter().any(|(of_log, _)| *of_log == name)
}

/// Whether a log of the broker's own has this id.
pub(crate) fn is_id(id: Uuid) -> bool {
    ALL.iter().any(|(_, of_log)| *of_log == id)
}
