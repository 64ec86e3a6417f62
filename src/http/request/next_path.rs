//! Where a browser goes after it has logged in.

use url::Url;

const MAX_LENGTH: usize = 2048;

/// Where to go by default.
pub const DEFAULT: &str = "/account/";

/// A path on this site, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextPath(Option<String>);

impl NextPath {
    /// Takes a path with its query and fragment, and drops anything else. Browsers read
    /// `\` as `/` and skip control characters, so it holds neither, and leads to this
    /// site.
    pub fn parse(text: &str) -> Self {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let is_plain = text.len() <= MAX_LENGTH && text.bytes().all(fits);
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let stays = || {
            let base = Url::parse("https://portcullis.invalid/").ok()?;
            let target = base.join(text).ok()?;
            (target.origin() == base.origin() && !target.path().starts_with("//")).then_some(())
        };
        Self((is_plain && is_path && stays().is_some()).then(|| text.to_owned()))
    }

    /// The path, or the empty text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The path, or the default one.
    pub fn or_default(&self) -> &str {
        self.0.as_deref().unwrap_or(DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_paths_of_this_site_are_kept() {
        for good in [
            "/",
            "/account/",
            "/a?b=c#d",
            "/a//b",
            "/%2f%2fevil.org",
            "/a:b@c",
        ] {
            assert_eq!(NextPath::parse(good).as_str(), good);
        }
        for bad in [
            "",
            "//evil.org",
            "/\\evil.org",
            "\\\\evil.org",
            "https://evil.org",
            "javascript:alert(1)",
            "/\t/evil.org",
            "\t//evil.org",
            " //evil.org",
            "http:/evil.org",
            "account/",
            "///evil.org",
            "/./\\evil.org",
            "/a\r\nSet-Cookie: x=y",
            "//",
            "/\u{2028}",
            "/é",
            "/..//evil.org",
            "/.//evil.org",
        ] {
            assert_eq!(NextPath::parse(bad).as_str(), "", "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_kept_stays_on_the_site(text in "[/\\\\.:a-z@?#\t\n]{0,20}") {
            let next = NextPath::parse(&text);
            let base = Url::parse("https://a.example/login/").unwrap();
            let target = base.join(next.or_default()).unwrap();
            prop_assert_eq!(target.origin(), base.origin());
        }
    }
}
