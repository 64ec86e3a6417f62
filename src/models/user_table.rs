//! The project's user table: what it is called, and which of its columns are which.
//!
//! Our queries are written for `accounts_customuser` with Django's columns. For any
//! other table they begin with a common table expression of that name, which both
//! databases see through: the same plan, and nothing in the database depends on it.

use std::sync::Arc;

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;

use super::time_zone::TimeZone;
use super::user_id::KeyKind;

/// The name that our schema has for it.
const OURS: &str = "accounts_customuser";

/// The name of a table: `name`, or `schema.name` on PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    schema: Option<String>,
    name: String,
}

impl TableName {
    /// Takes whatever can be quoted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_name = |part: &str| {
            (1..=63).contains(&part.len()) && !part.contains(['"', '.']) && !has_control(part)
        };
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        if !is_name(name) || !schema.is_none_or(is_name) {
            return Err("not a table name such as auth_user or schema.auth_user".to_owned());
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// Whether it is the table that our own migrations make.
    pub fn is_ours(&self) -> bool {
        self.schema.is_none() && self.name == OURS
    }

    /// Whether it names a schema, which SQLite does not have.
    pub fn has_schema(&self) -> bool {
        self.schema.is_some()
    }

    /// As it stands in SQL.
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{}\"", self.name),
            None => format!("\"{}\"", self.name),
        }
    }
}

/// Takes whatever can be quoted as the name of a column.
pub fn parse_column(text: &str) -> Result<String, String> {
    let is_name = (1..=63).contains(&text.len()) && !text.contains('"') && !has_control(text);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "not a column name such as email".to_owned())
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What our schema has of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The primary key, whatever its name.
    Id,
    /// Django's encoded hash.
    Password,
    /// When the user last logged in.
    LastLogin,
    /// Everything is allowed.
    IsSuperuser,
    /// What the user logs in with: the column of `USERNAME_FIELD`.
    Username,
    /// May be empty.
    FirstName,
    /// May be empty.
    LastName,
    /// May be empty.
    Email,
    /// May open Django's admin.
    IsStaff,
    /// Whether the user may log in.
    IsActive,
    /// When the user was made.
    DateJoined,
}

impl Field {
    /// In the order of our schema.
    pub const ALL: [Self; 11] = [
        Self::Id,
        Self::Password,
        Self::LastLogin,
        Self::IsSuperuser,
        Self::Username,
        Self::FirstName,
        Self::LastName,
        Self::Email,
        Self::IsStaff,
        Self::IsActive,
        Self::DateJoined,
    ];

    /// The column's name in our schema.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Password => "password",
            Self::LastLogin => "last_login",
            Self::IsSuperuser => "is_superuser",
            Self::Username => "username",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Email => "email",
            Self::IsStaff => "is_staff",
            Self::IsActive => "is_active",
            Self::DateJoined => "date_joined",
        }
    }

    /// What a user has who has no such column; `None` if none can do without it.
    pub const fn when_absent(self) -> Option<&'static str> {
        match self {
            Self::Id | Self::Password | Self::Username => None,
            Self::FirstName | Self::LastName | Self::Email => Some("''"),
            Self::IsSuperuser | Self::IsStaff => Some("FALSE"),
            // Django's `AbstractBaseUser` says so.
            Self::IsActive => Some("TRUE"),
            Self::LastLogin | Self::DateJoined => Some("CAST(NULL AS timestamp)"),
        }
    }
}

/// The user table as it was found in the database; cheap to clone. All queries on it
/// are its methods.
///
/// A database has one: its connections keep statements prepared by what they are for.
#[derive(Clone)]
pub struct UserTable(Arc<Shape>);

struct Shape {
    /// Quoted.
    name: String,
    about: About,
    /// By [`Field`]: the column's name, if there is one.
    columns: [Option<String>; Field::ALL.len()],
    /// What our queries begin with; empty for the table that our schema describes.
    with: String,
}

/// What else was found, or is set, about a user table.
pub(super) struct About {
    /// The kind of its primary key.
    pub(super) key: KeyKind,
    /// In which its times are, on SQLite.
    pub(super) zone: TimeZone,
    /// Whether no two users have one name.
    pub(super) has_unique_names: bool,
    /// Whether the database takes any letters.
    pub(super) holds_unicode: bool,
}

impl UserTable {
    /// `quoted` is the name that means this table even where `accounts_customuser` is
    /// another's.
    pub(super) fn new(
        name: &TableName,
        quoted: String,
        about: About,
        column: impl Fn(Field) -> Option<String>,
    ) -> Self {
        let columns = Field::ALL.map(column);
        let is_our_own =
            |field: Field, column: &Option<String>| column.as_deref() == Some(field.name());
        let is_standard = name.is_ours()
            && Field::ALL
                .iter()
                .zip(&columns)
                .all(|(field, column)| is_our_own(*field, column));
        let with = if is_standard {
            String::new()
        } else {
            let selected = Field::ALL.iter().zip(&columns).map(|(field, column)| {
                let value = match column {
                    Some(column) => format!("\"{}\"", column.replace('"', "\"\"")),
                    None => field.when_absent().unwrap_or("NULL").to_owned(),
                };
                format!("{value} AS \"{}\"", field.name())
            });
            let selected = selected.collect::<Vec<_>>().join(", ");
            format!("WITH \"{OURS}\" AS NOT MATERIALIZED (SELECT {selected} FROM {quoted}) ")
        };
        Self(Arc::new(Shape {
            name: quoted,
            about,
            columns,
            with,
        }))
    }

    /// The kind of its primary key.
    pub fn key(&self) -> KeyKind {
        self.0.about.key
    }

    /// The zone of the project's times.
    pub fn zone(&self) -> &TimeZone {
        &self.0.about.zone
    }

    /// Whether the project has that column.
    pub fn has(&self, field: Field) -> bool {
        self.column(field).is_some()
    }

    /// Whether the database keeps names apart.
    pub fn has_unique_names(&self) -> bool {
        self.0.about.has_unique_names
    }

    /// Whether the database could compare that name.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        self.0.about.holds_unicode || name.is_ascii()
    }

    pub(super) fn quoted(&self) -> &str {
        &self.0.name
    }

    pub(super) fn column(&self, field: Field) -> Option<&str> {
        self.0.columns.get(field as usize)?.as_deref()
    }

    /// A query whose `accounts_customuser` is this table.
    pub(super) fn query<Q>(&self, query: Q) -> OnUsers<'_, Q> {
        OnUsers {
            with: &self.0.with,
            query,
        }
    }
}

/// See [`UserTable::query`].
#[derive(Clone, Copy)]
pub(super) struct OnUsers<'a, Q> {
    with: &'a str,
    query: Q,
}

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for OnUsers<'_, Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql(self.with);
        self.query.walk_ast(pass)
    }
}

/// The query's own, as a connection only ever sees one user table.
impl<Q: QueryId> QueryId for OnUsers<'_, Q> {
    type QueryId = OnUsers<'static, Q::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q: Query> Query for OnUsers<'_, Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for OnUsers<'_, Q> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_quoted_are_taken() {
        assert!(TableName::parse("accounts_customuser").unwrap().is_ours());
        for other in [
            "auth_user",
            "legacy.auth_user",
            "legacy.accounts_customuser",
            "Users-2",
            "Benutzer é",
        ] {
            assert!(!TableName::parse(other).unwrap().is_ours());
        }
        for wrong in ["", "a.b.c", ".a", "a.", "a\"b", "a\0", &"x".repeat(64)] {
            assert!(TableName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
