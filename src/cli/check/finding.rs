//! What `check` has to say.

use std::fmt;

/// A finding, in one line: what is wrong, why it matters, and what to do.
pub(super) struct Finding {
    pub(super) severity: Severity,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Must be fixed.
    Warning,
    /// Worth knowing; there are good reasons to leave it.
    Note,
}

pub(super) fn warning(text: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Warning,
        text: text.into(),
    }
}

pub(super) fn note(text: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Note,
        text: text.into(),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}: {}", self.text)
    }
}
