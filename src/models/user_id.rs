//! A user's primary key: an integer, a UUID or a text, as the project made it.
//!
//! The schema says `BigInt` for all of them. A database has one kind, so what the
//! schema says decides nothing: each value is read and bound as what it is.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::QueryResult;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Array, BigInt, Text, Uuid as UuidType};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};
use uuid::Uuid;

/// Which kind of primary key a user table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `integer`, `bigint` and their like.
    Integer,
    /// `uuid`, or the `char(32)` that Django uses for it where there is none.
    Uuid,
    /// Any text.
    Text,
}

/// The primary key of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, FromSqlRow)]
pub enum UserId {
    /// Of [`KeyKind::Integer`].
    Integer(i64),
    /// Of [`KeyKind::Uuid`].
    Uuid(Uuid),
    /// Of [`KeyKind::Text`].
    Text(Box<str>),
}

impl KeyKind {
    /// The key that Django's `str()` of it was written from; `None` if it is no key of
    /// this kind.
    pub fn parse(self, text: &str) -> Option<UserId> {
        match self {
            Self::Integer => text.parse().ok().map(UserId::Integer),
            // The two forms that Django writes, of the many that are read.
            Self::Uuid if matches!(text.len(), 32 | 36) => text.parse().ok().map(UserId::Uuid),
            Self::Uuid => None,
            // No database that we know stores a NUL in a text.
            Self::Text => (!text.contains('\0')).then(|| UserId::Text(text.into())),
        }
    }

    /// The same key in its own kind: on SQLite a UUID is read as a text.
    pub fn own(self, id: UserId) -> UserId {
        match (self, &id) {
            (Self::Uuid, UserId::Text(text)) => self.parse(text).unwrap_or(id),
            _ => id,
        }
    }
}

/// As Django's `str()` writes it: in a session, and in what is derived from it.
impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(id) => id.fmt(f),
            Self::Uuid(id) => id.hyphenated().fmt(f),
            Self::Text(id) => f.write_str(id),
        }
    }
}

/// As DRF writes it.
impl serde::Serialize for UserId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(id) => serializer.serialize_i64(*id),
            other => serializer.collect_str(other),
        }
    }
}

impl FromSql<BigInt, Sqlite> for UserId {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        match value.value_type() {
            Some(SqliteType::Long | SqliteType::Integer | SqliteType::SmallInt) => {
                let id = <i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?;
                Ok(Self::Integer(id))
            }
            Some(SqliteType::Text) => {
                let id = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
                Ok(Self::Text(id.into()))
            }
            _ => Err("a user id is an integer or a text".into()),
        }
    }
}

/// Types by their number in PostgreSQL's catalog.
const UUID: u32 = 2950;
const INTEGERS: [u32; 3] = [20, 21, 23];

impl FromSql<BigInt, Pg> for UserId {
    /// PostgreSQL sends the column's own type, whatever the schema says.
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let bytes = value.as_bytes();
        match value.get_oid().get() {
            UUID => Ok(Self::Uuid(Uuid::from_slice(bytes)?)),
            oid if INTEGERS.contains(&oid) => {
                if let Ok(eight) = bytes.try_into() {
                    Ok(Self::Integer(i64::from_be_bytes(eight)))
                } else if let Ok(four) = bytes.try_into() {
                    Ok(Self::Integer(i32::from_be_bytes(four).into()))
                } else if let Ok(two) = bytes.try_into() {
                    Ok(Self::Integer(i16::from_be_bytes(two).into()))
                } else {
                    Err("an integer is 2, 4 or 8 bytes long".into())
                }
            }
            _ => Ok(Self::Text(std::str::from_utf8(bytes)?.into())),
        }
    }
}

macro_rules! to_sqlite {
    ($($sql_type:ty),*) => {$(
        impl ToSql<$sql_type, Sqlite> for UserId {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                match self {
                    Self::Integer(id) => out.set_value(*id),
                    Self::Uuid(id) => out.set_value(id.simple().to_string()),
                    Self::Text(id) => out.set_value(&**id),
                }
                Ok(IsNull::No)
            }
        }
    )*};
}
to_sqlite!(BigInt, Text);

/// Whichever type the column has, the bytes are the value's own.
macro_rules! to_pg {
    ($($sql_type:ty),*) => {$(
        impl ToSql<$sql_type, Pg> for UserId {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                use std::io::Write as _;
                match self {
                    Self::Integer(id) => out.write_all(&id.to_be_bytes())?,
                    Self::Uuid(id) => out.write_all(id.as_bytes())?,
                    Self::Text(id) => out.write_all(id.as_bytes())?,
                }
                Ok(IsNull::No)
            }
        }
    )*};
}
to_pg!(BigInt, UuidType, Text);

/// A [`UserId`] in a query.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a>(&'a UserId);

/// Any of some [`UserId`]s, in a query on PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnyKey<'a>(pub(super) &'a [UserId]);

impl<'a> AsExpression<BigInt> for &'a UserId {
    type Expression = Key<'a>;

    fn as_expression(self) -> Key<'a> {
        Key(self)
    }
}

impl<DB: Backend> QueryFragment<DB> for Key<'_>
where
    UserId: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }
}

impl QueryFragment<Sqlite> for UserId {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        match self {
            Self::Integer(_) => pass.push_bind_param::<BigInt, _>(self),
            Self::Uuid(_) | Self::Text(_) => pass.push_bind_param::<Text, _>(self),
        }
    }
}

impl QueryFragment<Pg> for UserId {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Self::Integer(_) => pass.push_bind_param::<BigInt, _>(self),
            Self::Uuid(_) => pass.push_bind_param::<UuidType, _>(self),
            Self::Text(_) => pass.push_bind_param::<Text, _>(self),
        }
    }
}

impl QueryFragment<Pg> for AnyKey<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("ANY(");
        match self.0.iter().next() {
            Some(UserId::Uuid(_)) => pass.push_bind_param::<Array<UuidType>, _>(self.0)?,
            Some(UserId::Text(_)) => pass.push_bind_param::<Array<Text>, _>(self.0)?,
            _ => pass.push_bind_param::<Array<BigInt>, _>(self.0)?,
        }
        pass.push_sql(")");
        Ok(())
    }
}

/// What Diesel wants of a value in a query.
macro_rules! value_of {
    ($sql_type:ty: $($value:ident),*) => {$(
        impl diesel::expression::Expression for $value<'_> {
            type SqlType = $sql_type;
        }
        impl<QS> diesel::expression::SelectableExpression<QS> for $value<'_> {}
        impl<QS> diesel::expression::AppearsOnTable<QS> for $value<'_> {}
        impl<GB> diesel::expression::ValidGrouping<GB> for $value<'_> {
            type IsAggregate = diesel::expression::is_aggregate::Never;
        }
        impl diesel::query_builder::QueryId for $value<'_> {
            type QueryId = $value<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
    )*};
}
pub(super) use value_of;
value_of!(BigInt: Key, AnyKey);
