//! Dates, as Django and others write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::models::Timestamp;

fuzz_target!(|text: &str| {
    if let Some(moment) = Timestamp::from_django_text(text) {
        let again = Timestamp::from_django_text(&moment.to_django_text());
        assert_eq!(again, Some(moment), "{text:?}");
    }
});
