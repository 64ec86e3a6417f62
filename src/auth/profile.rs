//! Making users, and giving them passwords.

use unicode_normalization::UnicodeNormalization;

use super::event::{Event, Kind};
use super::{Auth, AuthError, Client};
use crate::models;
use crate::models::user::{NewUser, User};

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

/// Why nobody can be called that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Django's validator of user names.
    #[error(
        "the username may hold letters, digits and @ . + - _ only, and must be 1 to 150 characters long"
    )]
    Username,
    /// Not an address.
    #[error("the e-mail address is not one")]
    Email,
    /// Django's columns are that wide.
    #[error("a first or last name may be 150 characters long")]
    Name,
}

impl Profile {
    /// The profile as Django's `create_user` would store it: the name in NFKC,
    /// the domain of the address in lower case.
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

impl Auth {
    /// Makes an active user with that hash; `false` if the name is taken.
    pub async fn create_user(&self, profile: Profile, encoded: String) -> Result<bool, AuthError> {
        let now = self.now();
        self.write_noting(&Client::command_line(), move |c, events| {
            let user = NewUser {
                password: &encoded,
                username: &profile.username,
                email: &profile.email,
                first_name: &profile.first_name,
                last_name: &profile.last_name,
                is_superuser: profile.is_superuser,
                is_staff: profile.is_superuser,
                is_active: true,
                date_joined: now,
            };
            let is_created = models::user::create(c, &user)?;
            if is_created {
                let kind = if profile.is_superuser {
                    "superuser"
                } else {
                    ""
                };
                events.note(Event::of_name(Kind::UserCreated, &profile.username, kind));
            }
            Ok(is_created)
        })
        .await
    }

    /// Stores another hash, which ends every session that was made under the
    /// old one, and forgets who failed and who succeeded with the old one;
    /// `false` if there is no such user.
    pub async fn set_password(&self, user: &User, encoded: String) -> Result<bool, AuthError> {
        let user = user.clone();
        self.write_noting(&Client::command_line(), move |c, events| {
            let is_stored = models::user::update_password(c, user.id, &encoded)?;
            if is_stored {
                models::attempt::delete_by_account(c, &user.id.to_string())?;
                models::client::delete_by_user(c, user.id)?;
                events.note(Event::of(Kind::PasswordChanged, &user, ""));
            }
            Ok(is_stored)
        })
        .await
    }

    /// The user of that name, active or not.
    pub async fn find_user(&self, username: &str) -> Result<Option<User>, AuthError> {
        let username = username.to_owned();
        let user = self
            .database()
            .read(move |c| models::user::find_by_username(c, &username))
            .await?;
        Ok(user)
    }

    /// How many users there are.
    pub async fn count_users(&self) -> Result<i64, AuthError> {
        Ok(self.database().read(models::user::count).await?)
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
