//! What `check` has to say.

use std::fmt;

/// Something to say of the settings, in one line: what is so, why that is bad,
/// and what to do.
pub(super) struct Finding {
    pub(super) severity: Severity,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Must be fixed.
    Warning,
    /// Should be known; there are good reasons to leave it.
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
