//! What is known of a user, by Django's rules.

use unicode_normalization::UnicodeNormalization;

const MAX_USERNAME: usize = 150;
const MAX_NAME: usize = 150;
const MAX_EMAIL: usize = 254;

/// What is known of a user who is to be made, besides the password.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// The name to log in with.
    pub username: String,
    /// May be empty.
    pub email: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// Everything is allowed, in Django; such a user is staff, too.
    pub is_superuser: bool,
}

/// Why a profile is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not what Django's validator of user names takes.
    #[error(
        "the username may hold letters, digits and @ . + - _ only, and must be 1 to 150 characters long"
    )]
    Username,
    /// Not an e-mail address.
    #[error("the e-mail address is not valid")]
    Email,
    /// Longer than Django's column.
    #[error("a first or last name may be at most 150 characters long")]
    Name,
}

impl Profile {
    /// The profile as Django's `create_user` would store it: the name in NFKC, the
    /// domain of the address in lower case.
    pub fn validated(mut self) -> Result<Self, ProfileError> {
        // The length comes first: normalising a long text is slow.
        if self.username.chars().count() > MAX_USERNAME {
            return Err(ProfileError::Username);
        }
        self.username = self.username.nfkc().collect();
        let is_name = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
        let length = self.username.chars().count();
        if !(1..=MAX_USERNAME).contains(&length) || !self.username.chars().all(is_name) {
            return Err(ProfileError::Username);
        }
        let is_short = |name: &str| name.chars().count() <= MAX_NAME && !name.contains('\0');
        if !is_short(&self.first_name) || !is_short(&self.last_name) {
            return Err(ProfileError::Name);
        }
        self.email = normalized_email(&self.email)?;
        Ok(self)
    }
}

fn normalized_email(email: &str) -> Result<String, ProfileError> {
    if email.is_empty() {
        return Ok(String::new());
    }
    let is_plain =
        email.len() <= MAX_EMAIL && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    match email.rsplit_once('@') {
        Some((local, domain)) if is_plain && !local.is_empty() && !domain.is_empty() => {
            Ok(format!("{local}@{}", domain.to_lowercase()))
        }
        _ => Err(ProfileError::Email),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(username: &str) -> Result<Profile, ProfileError> {
        let username = username.to_owned();
        Profile {
            username,
            ..Default::default()
        }
        .validated()
    }

    #[test]
    fn names_are_checked_and_normalised_as_django_does() {
        assert_eq!(named("ﬁsh").unwrap().username, "fish");
        assert_eq!(named("josé.o'x").unwrap_err(), ProfileError::Username);
        for wrong in ["", "a b", "a\0", "a/b", &"x".repeat(151)] {
            assert_eq!(named(wrong).unwrap_err(), ProfileError::Username);
        }
    }

    #[test]
    fn only_the_domain_of_an_address_is_lowered() {
        assert_eq!(
            normalized_email("Me@EXAMPLE.org").unwrap(),
            "Me@example.org"
        );
        for wrong in ["me", "@x", "me@", "a b@c", "a@b\r\n"] {
            assert!(normalized_email(wrong).is_err(), "{wrong}");
        }
    }
}
