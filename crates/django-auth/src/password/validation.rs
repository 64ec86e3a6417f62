//! Which new passwords are accepted: Django's four validators, in the order and with
//! the messages of its default project. Stored passwords are not judged.
//!
//! Unlike Django, it also refuses a password that is like a name of this service (ASVS
//! 6.1.2), blank, or longer than [`MAX_PASSWORD_BYTES`]. Nothing is trimmed or cut.

use std::collections::HashMap;
use std::sync::LazyLock;

use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, NumericType};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};

/// Longer passwords are never hashed, as they would keep a server busy.
pub const MAX_PASSWORD_BYTES: usize = 4096;

/// In lower case, sorted; see `data/README.md`. Made when a password is first set.
static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| {
    include_str!("../../data/common_passwords.txt")
        .lines()
        .collect()
});

/// From this ratio on, a password is too like a name.
const MAX_SIMILARITY: f64 = 0.7;

/// What a new password has to be, besides unlike its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    min_length: usize,
    service_names: Vec<String>,
}

/// The user that a password is for; any text may be empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Owner<'a> {
    /// The name to log in with.
    pub username: &'a str,
    /// The first name.
    pub first_name: &'a str,
    /// The last name.
    pub last_name: &'a str,
    /// The e-mail address.
    pub email: &'a str,
}

/// What is wrong with a new password, in Django's words where it has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing, or nothing but white space.
    #[error("Blank passwords aren't allowed.")]
    Blank,
    /// More bytes than a login takes.
    #[error("This password is too long. It must contain at most {MAX_PASSWORD_BYTES} bytes.")]
    TooLong,
    /// Like a name; this is whose, or which.
    #[error("The password is too similar to the {0}.")]
    TooSimilar(&'static str),
    /// Fewer characters than this.
    #[error("This password is too short. It must contain at least {0} characters.")]
    TooShort(usize),
    /// Among those that everybody tries first.
    #[error("This password is too common.")]
    TooCommon,
    /// Digits, of whatever script, and nothing else.
    #[error("This password is entirely numeric.")]
    EntirelyNumeric,
}

impl Policy {
    /// At least `min_length` code points, and unlike the service's names.
    pub fn new(min_length: usize, service_names: Vec<String>) -> Self {
        Self {
            min_length,
            service_names,
        }
    }

    /// How many characters a password has at least.
    pub fn min_length(&self) -> usize {
        self.min_length
    }

    /// All that is wrong with this password for this user.
    pub fn problems(&self, password: &str, owner: &Owner<'_>) -> Vec<Problem> {
        if password.len() > MAX_PASSWORD_BYTES {
            return vec![Problem::TooLong];
        }
        if strip(password).is_empty() {
            return vec![Problem::Blank];
        }
        let lower = password.to_lowercase();
        let is_short = password.chars().count() < self.min_length;
        let is_common = COMMON.binary_search(&strip(&lower)).is_ok();
        let is_numeric = password.chars().all(is_digit);
        [
            self.like_a_name(&lower, owner).map(Problem::TooSimilar),
            is_short.then_some(Problem::TooShort(self.min_length)),
            is_common.then_some(Problem::TooCommon),
            is_numeric.then_some(Problem::EntirelyNumeric),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Which name the password, in lower case, is too like; Django's first.
    fn like_a_name(&self, lower: &str, owner: &Owner<'_>) -> Option<&'static str> {
        let service = self.service_names.iter();
        [
            ("username", owner.username),
            ("first name", owner.first_name),
            ("last name", owner.last_name),
            ("email address", owner.email),
        ]
        .into_iter()
        .chain(service.map(|name| ("name of this service", name.as_str())))
        .find(|(_, name)| is_similar(lower, &name.to_lowercase()))
        .map(|(whose, _)| whose)
    }
}

/// Whether the password is like a name or a part of it, all in lower case.
fn is_similar(password: &str, name: &str) -> bool {
    let password = Counts::of(password);
    let mut parts = name.split(|c| !is_word(c)).chain([name]);
    parts.any(|part| password.ratio(&Counts::of(part)) >= MAX_SIMILARITY)
}

/// How often each character is in a text.
struct Counts {
    of: HashMap<char, usize>,
    length: usize,
}

impl Counts {
    fn of(text: &str) -> Self {
        let mut of = HashMap::new();
        for c in text.chars() {
            *of.entry(c).or_default() += 1;
        }
        let length = text.chars().count();
        Self { of, length }
    }

    /// `quick_ratio` of Python's `SequenceMatcher`, 0 to 1: the share of characters in
    /// both texts, in any order. One text must not be empty.
    fn ratio(&self, other: &Self) -> f64 {
        let in_both = |(c, count): (&char, &usize)| other.of.get(c).map_or(0, |n| *n.min(count));
        let matches: usize = self.of.iter().map(in_both).sum();
        2.0 * matches as f64 / (self.length + other.length) as f64
    }
}

/// Python's `strip`: four control characters more than Unicode's white space.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}

/// `\w` in Python: a letter or number; Rust's `is_alphanumeric` takes some marks too.
fn is_word(c: char) -> bool {
    const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
    let category = CATEGORIES.get(c);
    c == '_'
        || GeneralCategoryGroup::Letter.contains(category)
        || GeneralCategoryGroup::Number.contains(category)
}

/// `isdigit` in Python: also ٣ and ³, but neither ½ nor Ⅷ.
fn is_digit(c: char) -> bool {
    const TYPES: CodePointMapDataBorrowed<'static, NumericType> = CodePointMapData::new();
    matches!(TYPES.get(c), NumericType::Decimal | NumericType::Digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn messages(policy: &Policy, password: &str, owner: &Owner<'_>) -> Vec<String> {
        let problems = policy.problems(password, owner);
        problems.iter().map(Problem::to_string).collect()
    }

    /// One problem, as a text; the owner is Ada.
    fn problem(password: &str) -> String {
        let policy = Policy::new(8, vec!["portcullis".into(), "login.example.org".into()]);
        let owner = Owner {
            username: "ada.byron",
            email: "countess@lovelace.test",
            ..Owner::default()
        };
        messages(&policy, password, &owner).join(" ")
    }

    /// `make_passwords.py` asked the real Django about each of them.
    #[test]
    fn django_says_the_same() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/passwords.json")).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let cases = vectors["cases"].as_array().unwrap();
        let mut seen = HashMap::<String, usize>::new();
        for case in cases {
            let [password, username, first_name, last_name, email] =
                [0, 1, 2, 3, 4].map(|field| text(&case[field]));
            let min_length = case[5].as_u64().unwrap() as usize;
            let said: Vec<String> = case[6].as_array().unwrap().iter().map(text).collect();
            let owner = Owner {
                username: &username,
                first_name: &first_name,
                last_name: &last_name,
                email: &email,
            };
            let policy = Policy::new(min_length, Vec::new());
            assert_eq!(messages(&policy, &password, &owner), said, "{case}");
            for message in said {
                *seen.entry(message).or_default() += 1;
            }
        }
        assert!(cases.len() >= 3000, "{}", cases.len());
        for message in [
            "The password is too similar to the username.",
            "The password is too similar to the first name.",
            "The password is too similar to the last name.",
            "The password is too similar to the email address.",
            "This password is too short. It must contain at least 8 characters.",
            "This password is too common.",
            "This password is entirely numeric.",
        ] {
            let count = seen.get(message).copied().unwrap_or_default();
            assert!(count >= 20, "only {count}: {message}");
        }
    }

    #[test]
    fn the_list_is_whole_and_in_lower_case() {
        assert_eq!(COMMON.len(), 97_745);
        let in_order = COMMON.is_sorted_by(|word, next| word < next);
        assert!(in_order, "each is there once, and is found");
        for word in COMMON.iter() {
            assert_eq!(*word, strip(&word.to_lowercase()));
        }
        assert_eq!(problem("TrustNo1 "), "This password is too common.");
    }

    #[test]
    fn names_of_the_service_are_no_passwords() {
        let like_us = "The password is too similar to the name of this service.";
        for password in [
            "portcullis",
            "Portcullis1!",
            "sillucport!",
            "login.example",
            "EXAMPLE1",
        ] {
            assert_eq!(problem(password), like_us, "{password}");
        }
        assert_eq!(problem("purple portraits"), "");
    }

    #[test]
    fn the_longest_password_is_judged_whole() {
        let long = "k9 ".repeat(MAX_PASSWORD_BYTES / 3) + "x";
        assert_eq!(long.len(), MAX_PASSWORD_BYTES);
        assert_eq!(problem(&long), "");
        let too_long = "This password is too long. It must contain at most 4096 bytes.";
        assert_eq!(problem(&(long + "x")), too_long);
        // Bytes, not characters; and nothing is cut off before it is counted.
        assert_eq!(problem(&"é".repeat(2049)), too_long);
        assert_eq!(problem(&" ".repeat(5000)), too_long);
    }

    #[test]
    fn blanks_are_kept_but_are_not_enough() {
        let blank = "Blank passwords aren't allowed.";
        for password in ["", " ", "          ", "\t\u{2003}\u{a0}\x1c     "] {
            assert_eq!(problem(password), blank, "{password:?}");
        }
        assert_eq!(problem("  q!z  k"), "", "eight characters with the blanks");
        let short = "This password is too short. It must contain at least 8 characters.";
        assert_eq!(problem("  q!z k"), short);
        assert_eq!(problem("q!zkq!é"), short, "eight bytes");
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(
            password in any::<String>(),
            username in any::<String>(),
            email in any::<String>(),
            min_length in 1_usize..100,
        ) {
            let owner = Owner { username: &username, email: &email, ..Owner::default() };
            let policy = Policy::new(min_length, vec![email.clone()]);
            let problems = policy.problems(&password, &owner);
            prop_assert!(problems.len() <= 4);
            prop_assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
        }

        #[test]
        fn a_password_is_like_itself_in_any_case(name in "[a-zà-ÿ]{1,40}") {
            let upper = name.to_uppercase();
            let owner = Owner { last_name: &name, ..Owner::default() };
            prop_assert!(
                Policy::new(1, Vec::new())
                    .problems(&upper, &owner)
                    .contains(&Problem::TooSimilar("last name"))
            );
        }
    }
}
