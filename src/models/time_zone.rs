//! Django's `TIME_ZONE`, by which it reads the clock where `USE_TZ` is off.
//!
//! SQLite then holds what a clock on the wall shows. In autumn an hour comes twice, and
//! in spring one never comes: of such a time only the earliest and the latest moment are
//! known. A session is good until the earliest, and its row stays until the latest.

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use jiff::tz::{Offset, TimeZone as Zone, TimeZoneDatabase};

use super::columns::{DjangoTime, Timestamp};

/// A time zone; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(Zone);

impl TimeZone {
    /// Where clocks show what Django writes with `USE_TZ`.
    pub const UTC: Self = Self(Zone::UTC);

    /// Takes an IANA name, in its own case as Python does.
    pub fn parse(name: &str) -> Result<Self, String> {
        // Not the machine's list of zones, which may be old, or not there.
        let zone = TimeZoneDatabase::bundled().get(name).ok();
        let zone = zone.filter(|zone| zone.iana_name() == Some(name));
        zone.map(Self)
            .ok_or_else(|| format!("`{name}` is not a time zone such as Asia/Kolkata"))
    }

    /// What Django writes for this moment.
    pub fn to_django(&self, moment: Timestamp) -> DjangoTime {
        DjangoTime::new(self.clock_at(moment), moment)
    }

    /// The moment; the earliest, if there are several.
    pub fn earliest(&self, time: DjangoTime) -> Timestamp {
        let earliest = |(earliest, _)| earliest;
        time.moment
            .unwrap_or_else(|| earliest(self.moments_of(time.clock)))
    }

    /// The moment; the latest, if there are several.
    pub fn latest(&self, time: DjangoTime) -> Timestamp {
        let latest = |(_, latest)| latest;
        time.moment
            .unwrap_or_else(|| latest(self.moments_of(time.clock)))
    }

    /// The time on the clock before which every other is over by now.
    pub fn over_before(&self, now: Timestamp) -> DjangoTime {
        let clock = self.clock_at(now);
        // Of an hour that comes twice, the first time: the clock goes back once more.
        let (_, latest) = self.moments_of(clock);
        let back = latest.to_utc() - now.to_utc();
        DjangoTime::new(clock.checked_sub_signed(back).unwrap_or(clock), now)
    }

    fn clock_at(&self, moment: Timestamp) -> NaiveDateTime {
        let utc = moment.to_utc();
        let moment = jiff::Timestamp::from_microsecond(utc.timestamp_micros());
        let offset = moment.map_or(0, |moment| self.0.to_offset(moment).seconds());
        let clock = utc.naive_utc();
        let clock = clock.checked_add_signed(TimeDelta::seconds(offset.into()));
        clock.unwrap_or_else(|| utc.naive_utc())
    }

    /// The earliest and the latest moment at which the clock shows that.
    fn moments_of(&self, clock: NaiveDateTime) -> (Timestamp, Timestamp) {
        let utc = Timestamp::new(clock.and_utc());
        if self.0 == Zone::UTC {
            return (utc, utc);
        }
        // A clock of thousands of years ahead need not be right.
        self.moments_of_local(clock).unwrap_or((utc, utc))
    }

    fn moments_of_local(&self, clock: NaiveDateTime) -> Option<(Timestamp, Timestamp)> {
        let micros = clock.and_utc().timestamp_micros();
        let clock = Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(micros).ok()?);
        let moments = self.0.to_ambiguous_timestamp(clock);
        let moment = |at: Result<jiff::Timestamp, jiff::Error>| {
            DateTime::from_timestamp_micros(at.ok()?.as_microsecond()).map(Timestamp::new)
        };
        Some((moment(moments.earlier())?, moment(moments.later())?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// With and without daylight saving, by an hour and by half of one, in both halves of
    /// the year; and one where a whole day was left out.
    const ZONES: [&str; 8] = [
        "UTC",
        "Asia/Kolkata",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Pacific/Apia",
        "America/St_Johns",
    ];

    fn zone(name: &str) -> TimeZone {
        TimeZone::parse(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_django_text(text).unwrap()
    }

    fn read(text: &str) -> DjangoTime {
        DjangoTime::from_text(text).unwrap()
    }

    #[test]
    fn names_are_those_of_python() {
        for name in ZONES
            .into_iter()
            .chain(["US/Eastern", "Asia/Calcutta", "Etc/GMT+5"])
        {
            assert!(TimeZone::parse(name).is_ok(), "{name}");
        }
        assert_eq!(zone("UTC"), TimeZone::UTC);
        for name in [
            "",
            "asia/kolkata",
            "CEST",
            "+05:30",
            "Asia/Nowhere",
            "/etc/localtime",
        ] {
            assert!(TimeZone::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn clocks_are_pythons() {
        // Computed by Python's zoneinfo: earliest and latest, fold 0 and 1 in autumn.
        for (name, clock, earliest, latest) in [
            (
                "Asia/Kolkata",
                "2026-11-22 12:00:00.5",
                "2026-11-22 06:30:00.5",
                "2026-11-22 06:30:00.5",
            ),
            (
                "America/New_York",
                "2026-07-01 12:00:00",
                "2026-07-01 16:00:00",
                "2026-07-01 16:00:00",
            ),
            (
                "America/New_York",
                "2026-11-01 01:30:00",
                "2026-11-01 05:30:00",
                "2026-11-01 06:30:00",
            ),
            (
                "America/New_York",
                "2027-03-14 02:30:00",
                "2027-03-14 06:30:00",
                "2027-03-14 07:30:00",
            ),
            (
                "America/New_York",
                "2026-11-01 01:30:00-05:00",
                "2026-11-01 06:30:00",
                "2026-11-01 06:30:00",
            ),
            (
                "Asia/Kolkata",
                "2026-11-22T12:00:00Z",
                "2026-11-22 12:00:00",
                "2026-11-22 12:00:00",
            ),
        ] {
            let (zone, time) = (zone(name), read(clock));
            assert_eq!(zone.earliest(time), at(earliest), "{name} {clock}");
            assert_eq!(zone.latest(time), at(latest), "{name} {clock}");
        }
    }

    #[test]
    fn of_an_hour_that_comes_twice_nothing_is_over_the_first_time() {
        let new_york = zone("America/New_York");
        let before = |now: &str| new_york.over_before(at(now)).to_text();
        assert_eq!(before("2026-11-01 04:59:59"), "2026-11-01 00:59:59");
        assert_eq!(before("2026-11-01 05:30:00"), "2026-11-01 00:30:00");
        assert_eq!(before("2026-11-01 06:30:00"), "2026-11-01 01:30:00");
        assert_eq!(before("2027-03-14 07:00:00"), "2027-03-14 03:00:00");
    }

    proptest! {
        #[test]
        fn a_time_comes_back(micros in 0_i64..4_102_444_800_000_000, zone_name in 0..ZONES.len()) {
            let zone = zone(ZONES[zone_name]);
            let moment = Timestamp::new(DateTime::from_timestamp_micros(micros).unwrap());
            let text = zone.to_django(moment).to_text();
            let time = read(&text);
            prop_assert_eq!(&time.to_text(), &text);
            let (earliest, latest) = (zone.earliest(time), zone.latest(time));
            prop_assert!(moment == earliest || moment == latest);
            prop_assert!((latest.to_utc() - earliest.to_utc()).num_hours() <= 24);
            prop_assert_eq!(zone.to_django(earliest).to_text(), text);
        }

        /// Around the hours at which clocks are put back or forward.
        #[test]
        fn what_is_over_is_over_whichever_moment_was_meant(
            zone_name in 0..ZONES.len(),
            (now, minutes) in (0_i64..400 * 24 * 60, -3000_i64..3000),
        ) {
            let zone = zone(ZONES[zone_name]);
            let minute = |minutes| Timestamp::new(
                DateTime::from_timestamp(1_767_225_600 + 60 * minutes, 0).unwrap()
            );
            let over = zone.over_before(minute(now)).to_text();
            let clock = zone.to_django(minute(now + minutes)).to_text();
            if clock < over {
                prop_assert!(zone.latest(read(&clock)) < minute(now), "{} {}", clock, over);
            }
        }
    }
}
