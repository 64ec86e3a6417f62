//! Column types that read what Django's two databases hold, and write what Django
//! writes.

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types;
use diesel::sqlite::{Sqlite, SqliteValue};

/// A text that may be NULL, where Django allows that: it counts as empty.
#[derive(Debug, FromSqlRow)]
pub struct MaybeText(String);

impl<DB: Backend> FromSql<sql_types::Text, DB> for MaybeText
where
    String: FromSql<sql_types::Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        String::from_sql(value).map(Self)
    }

    fn from_nullable_sql(value: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        value.map_or_else(|| Ok(Self(String::new())), Self::from_sql)
    }
}

impl From<MaybeText> for String {
    fn from(text: MaybeText) -> Self {
        text.0
    }
}

/// A text of many, of which one that cannot be read must not hide the others: it counts
/// as empty.
#[derive(Debug, FromSqlRow)]
pub struct AnyText(pub String);

impl<DB: Backend> FromSql<sql_types::Text, DB> for AnyText
where
    String: FromSql<sql_types::Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(String::from_sql(value).unwrap_or_default()))
    }

    fn from_nullable_sql(value: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        value.map_or_else(|| Ok(Self(String::new())), Self::from_sql)
    }
}

/// A flag that may be NULL, where Django allows that: it counts as not set.
#[derive(Debug, FromSqlRow)]
pub struct Flag(bool);

impl<DB: Backend> FromSql<sql_types::Bool, DB> for Flag
where
    bool: FromSql<sql_types::Bool, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        bool::from_sql(value).map(Self)
    }

    fn from_nullable_sql(value: Option<DB::RawValue<'_>>) -> deserialize::Result<Self> {
        value.map_or(Ok(Self(false)), Self::from_sql)
    }
}

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        flag.0
    }
}

/// A time in UTC, to the microsecond: text on SQLite, as Django writes it (`2026-11-22
/// 11:59:21.940798`, no fraction at microsecond 0), and `timestamptz` on PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub struct Timestamp(NaiveDateTime);

impl Timestamp {
    /// Cuts to microseconds, which is what both databases store.
    pub fn new(time: DateTime<Utc>) -> Self {
        let time = time.naive_utc();
        let micros = time.nanosecond() / 1000 * 1000;
        Self(time.with_nanosecond(micros).unwrap_or(time))
    }

    /// The time as a `DateTime`.
    pub fn to_utc(self) -> DateTime<Utc> {
        self.0.and_utc()
    }

    /// Django's text of it.
    pub fn to_django_text(self) -> String {
        let format = if self.0.nanosecond() == 0 {
            "%Y-%m-%d %H:%M:%S"
        } else {
            "%Y-%m-%d %H:%M:%S%.6f"
        };
        self.0.format(format).to_string()
    }

    /// Reads any text that Django reads; without an offset it is UTC.
    pub fn from_django_text(text: &str) -> Option<Self> {
        DjangoTime::from_text(text).map(|time| time.moment.unwrap_or(Self(time.clock)))
    }
}

/// A time in a table of Django's: what its clock shows, and which moment that is. Where
/// only the clock is known, a [`TimeZone`](super::TimeZone) says the rest.
#[derive(Debug, Clone, Copy, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub struct DjangoTime {
    pub(super) clock: NaiveDateTime,
    pub(super) moment: Option<Timestamp>,
}

impl DjangoTime {
    /// A moment, and what the clock shows then.
    pub(super) fn new(clock: NaiveDateTime, moment: Timestamp) -> Self {
        let moment = Some(moment);
        Self { clock, moment }
    }

    /// Django's text of what the clock shows.
    pub fn to_text(self) -> String {
        Timestamp(self.clock).to_django_text()
    }

    /// Reads any text that Django reads: a date, or a date and a time with `T` or a
    /// space, up to nine digits of fraction, and an offset or none. Of the years that
    /// Python has: SQLite compares texts, and only theirs sort.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::of_any_year(text).filter(|time| (1..=9999).contains(&time.clock.year()))
    }

    fn of_any_year(text: &str) -> Option<Self> {
        let text = text.trim();
        let (text, is_utc) = match text.strip_suffix('Z') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let of_clock = |time: NaiveDateTime| {
            let time = Timestamp::new(time.and_utc());
            Self {
                clock: time.0,
                moment: is_utc.then_some(time),
            }
        };
        for format in [
            // Django's own format first.
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M",
        ] {
            if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
                return Some(of_clock(time));
            }
        }
        for format in ["%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%:z"] {
            if let Ok(time) = DateTime::parse_from_str(text, format) {
                let moment = Timestamp::new(time.to_utc());
                return Some(Self::new(moment.0, moment));
            }
        }
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(of_clock(date.and_hms_opt(0, 0, 0)?))
    }
}

impl FromSql<sql_types::Timestamp, Sqlite> for DjangoTime {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<sql_types::Text, Sqlite>>::from_sql(value)?;
        Self::from_text(&text).ok_or_else(|| "not a date that Django writes".into())
    }
}

impl FromSql<sql_types::Timestamp, Pg> for DjangoTime {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let moment = <Timestamp as FromSql<sql_types::Timestamp, Pg>>::from_sql(value)?;
        Ok(Self::new(moment.0, moment))
    }
}

impl ToSql<sql_types::Timestamp, Sqlite> for DjangoTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.to_text());
        Ok(IsNull::No)
    }
}

impl ToSql<sql_types::Timestamp, Pg> for DjangoTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let time = self.moment.as_ref().map_or(&self.clock, |moment| &moment.0);
        <NaiveDateTime as ToSql<sql_types::Timestamp, Pg>>::to_sql(time, &mut out.reborrow())
    }
}

/// A time that may be unreadable: SQLite stores what it is given.
#[derive(Debug, FromSqlRow)]
pub struct MaybeTime(Option<DjangoTime>);

impl<DB: Backend> FromSql<sql_types::Timestamp, DB> for MaybeTime
where
    DjangoTime: FromSql<sql_types::Timestamp, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(DjangoTime::from_sql(value).ok()))
    }
}

impl From<MaybeTime> for Option<DjangoTime> {
    fn from(time: MaybeTime) -> Self {
        time.0
    }
}

impl FromSql<sql_types::Timestamp, Sqlite> for Timestamp {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<sql_types::Text, Sqlite>>::from_sql(value)?;
        Self::from_django_text(&text).ok_or_else(|| "not a date that Django writes".into())
    }
}

impl FromSql<sql_types::Timestamp, Pg> for Timestamp {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        <NaiveDateTime as FromSql<sql_types::Timestamp, Pg>>::from_sql(value).map(Self)
    }
}

impl ToSql<sql_types::Timestamp, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.to_django_text());
        Ok(IsNull::No)
    }
}

impl ToSql<sql_types::Timestamp, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <NaiveDateTime as ToSql<sql_types::Timestamp, Pg>>::to_sql(&self.0, &mut out.reborrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        Timestamp::from_django_text(text).unwrap().to_django_text()
    }

    #[test]
    fn times_are_written_as_django_writes_them() {
        for text in [
            "2026-11-22 11:59:21.940798",
            "2026-11-22 11:59:21",
            "2026-11-22 11:59:21.940000",
        ] {
            assert_eq!(rewritten(text), text);
        }
    }

    #[test]
    fn other_spellings_of_a_time_are_read() {
        let same = "2026-11-23 13:23:13.123456";
        for text in [
            "2026-11-23 13:23:13.123456789",
            "2026-11-23 13:23:13.123456+00:00",
            "2026-11-23T13:23:13.123456Z",
            "2026-11-23 15:23:13.123456+02:00",
        ] {
            assert_eq!(rewritten(text), same, "{text}");
        }
        assert!(Timestamp::from_django_text("2026-11-23").is_some());
        for text in [
            "",
            "not a date",
            "1795440196",
            "-2026-11-23 09:00:00",
            "0000-11-23",
            "+10000-01-01",
            "9999-12-31 23:59:59-01:00",
        ] {
            assert!(Timestamp::from_django_text(text).is_none(), "{text}");
        }
    }
}
