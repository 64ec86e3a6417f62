//! When a session ends.
//!
//! With an idle limit, the date in a session's row moves with its use. The data then
//! holds the time at which the session ends however busy it is.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use serde_json::Value;

use crate::models::{DjangoTime, TimeZone, Timestamp};
use django_auth::SessionData;

/// The Unix time at which a session ends; only while there is an idle limit.
const ENDS: &str = "_portcullis_ends";

/// Django's `set_expiry`: seconds without use, 0 until the browser is closed, or a date.
const EXPIRY: &str = "_session_expiry";

/// `PORTCULLIS_SESSION_AGE`, `PORTCULLIS_SESSION_IDLE` and `PORTCULLIS_TIME_ZONE`.
#[derive(Debug, Clone)]
pub(super) struct Lifetime {
    pub(super) age: Duration,
    pub(super) idle: Option<Duration>,
    /// Of what Django wrote without an offset.
    pub(super) zone: TimeZone,
}

impl Lifetime {
    /// When a session with that data ends if it is not used after `now`.
    pub(super) fn end(&self, data: &SessionData, now: DateTime<Utc>) -> Timestamp {
        let after = |age: Duration| {
            let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
            now.checked_add_signed(age).unwrap_or(now)
        };
        let ends = data
            .get(ENDS)
            .and_then(|seconds| seconds.as_i64())
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .unwrap_or_else(|| self.expiry(data, now).unwrap_or_else(|| after(self.age)));
        Timestamp::new(match self.idle {
            Some(idle) => ends.min(after(idle)),
            None => ends,
        })
    }

    /// The end that a Django project set for this session.
    fn expiry(&self, data: &SessionData, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match data.get(EXPIRY)? {
            Value::String(date) => {
                let date = DjangoTime::from_text(&date)?;
                Some(self.zone.earliest(date).to_utc())
            }
            seconds => {
                let seconds = seconds.as_i64().filter(|seconds| *seconds != 0)?;
                now.checked_add_signed(TimeDelta::try_seconds(seconds)?)
            }
        }
    }

    /// How long browsers keep the cookie of a session with that data; without, until they
    /// are closed.
    pub(super) fn cookie_age(&self, data: &SessionData, now: DateTime<Utc>) -> Option<i64> {
        if data.get(EXPIRY).and_then(|seconds| seconds.as_i64()) == Some(0) {
            return None;
        }
        let age = i64::try_from(self.age.as_secs()).unwrap_or(i64::MAX);
        let end = self.expiry(data, now);
        Some(end.map_or(age, |end| (end - now).num_seconds().max(0)))
    }

    /// Writes the absolute end of a session that starts now into its data.
    pub(super) fn set_end(&self, data: &mut SessionData, now: DateTime<Utc>) {
        data.remove(ENDS);
        if self.idle.is_some() {
            let end = self.expiry(data, now).map(|end| end.timestamp());
            let age = i64::try_from(self.age.as_secs()).unwrap_or(i64::MAX / 2);
            data.insert(ENDS, end.unwrap_or_else(|| now.timestamp() + age));
        }
    }

    /// The later end of a session that is used now; `None` if it is not worth a write.
    ///
    /// It is written once in a tenth of the idle time, not with every request. Sessions
    /// that Django made hold no end, and live as long as Django said.
    pub(super) fn extended(
        &self,
        data: &SessionData,
        expires: Timestamp,
        now: DateTime<Utc>,
    ) -> Option<Timestamp> {
        let idle = self.idle?;
        data.get(ENDS)?;
        let end = self.end(data, now);
        let gained = (end.to_utc() - expires.to_utc()).to_std();
        gained.is_ok_and(|gained| gained > idle / 10).then_some(end)
    }
}
