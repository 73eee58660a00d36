//! Profiles of measured chips, and what is written of those that are read.

#![no_main]

use farad_hw::{models, profile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let set = [("adc.bits".to_owned(), "2".to_owned())];
    let spec = models::find("ideal").expect("bundled").spec(&set).expect("sound");
    match profile::parse("fuzz.csv", text, &spec) {
        Ok(profile) => {
            let csv = profile.table(&spec).csv("");
            assert_eq!(
                profile::parse("again.csv", &csv, &spec).expect("written by us"),
                profile
            );
        }
        Err(problems) => {
            assert!(!problems.list.is_empty());
            assert!(!problems.render(false).is_empty());
        }
    }
});
