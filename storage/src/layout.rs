//! Pure. Every name of a file or directory, formatted and parsed.

/// Directory of the journal.
pub(crate) const JOURNAL_DIR: &str = "journal";

const JOURNAL_SUFFIX: &str = ".journal";

/// Name of a journal file.
pub(crate) fn journal_file(slot: u32) -> String {
    format!("{slot:08}{JOURNAL_SUFFIX}")
}

/// The number of a journal file.
pub(crate) fn parse_journal_file(name: &str) -> Option<u32> {
    let slot = name.strip_suffix(JOURNAL_SUFFIX)?.parse().ok()?;
    (journal_file(slot) == name).then_some(slot)
}
