//! How the text of a setting is read: the readers that several settings share. Each
//! gives the value, or says what the text may be.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// More threads, connections or places in a queue are a typing error.
pub(super) const MOST_COUNT: usize = 100_000;

/// The processor cores that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Nothing, if there is no text.
pub(super) fn optional<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| match text {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

/// Any number of items between commas.
pub(super) fn list<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Vec<T>, String> {
    move |text| {
        let items = text.split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(&parse).collect()
    }
}

/// One of the words in `choices`.
pub(super) fn one_of<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let choice = choices.iter().find(|(name, _)| *name == text);
        choice.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is not one of: {}", names.join(", "))
        })
    }
}

/// A whole number in `range`.
pub(super) fn number<N: FromStr + PartialOrd + Display>(
    range: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            format!("`{text}` is not a whole number from {low} to {high}")
        })
    }
}

/// A whole number from 1 to `most`.
pub(super) fn count(most: usize) -> impl Fn(&str) -> Result<NonZeroUsize, String> {
    move |text| number(1..=most)(text).map(at_least_one)
}

/// The same; `default`, if there is no text.
pub(super) fn count_or(
    default: usize,
    most: usize,
) -> impl Fn(&str) -> Result<NonZeroUsize, String> {
    move |text| match text {
        "" => Ok(at_least_one(default.min(most))),
        text => count(most)(text),
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

/// A time such as `90s`, `15m`, `12h` or `14d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    seconds(text)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is not a time such as 90s, 15m, 12h or 14d"))
}

fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return None,
    };
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    (1..=100_000).contains(&count).then(|| count * seconds)
}
