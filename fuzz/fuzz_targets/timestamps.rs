//! Dates, as Django and others write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::models::Timestamp;

fuzz_target!(|text: &str| {
    if let Some(moment) = Timestamp::from_django_text(text) {
        let written = moment.to_django_text();
        assert_eq!(
            Timestamp::from_django_text(&written),
            Some(moment),
            "{text:?}"
        );
        // Django's form, which SQLite compares as text: four digits of a year.
        assert!([19, 26].contains(&written.len()), "{text:?} is {written}");
        let form = "0000-00-00 00:00:00.000000".bytes().zip(written.bytes());
        let fits = |(form, byte): (u8, u8)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        };
        assert!(form.into_iter().all(fits), "{text:?} is {written}");
        assert!(
            !written.starts_with("0000"),
            "Python has no year 0: {text:?}"
        );
        // Texts sort as moments do.
        let now = "2026-11-23 09:00:00";
        let is_past = moment < Timestamp::from_django_text(now).unwrap();
        assert_eq!(written.as_str() < now, is_past, "{written}");
    }
});
