//! Every refused login is the same work to the hashing threads, in processor
//! time: what a watch would tell, without the noise of all else on the machine.
//! It is read from Linux's `/proc`.

use std::fs;

use each_database::each_database;
use serde_json::json;

use crate::enumeration::Accounts;
use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::support::program::{Serving, program_on};

/// The least time of many is free of what others did to the processor. On a busy
/// machine it takes more; what is different stays so, however often one looks.
const ROUNDS: std::ops::RangeInclusive<usize> = 7..=70;

#[each_database]
async fn every_refusal_is_the_same_work(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let accounts = Accounts::create(&app).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = program_on(&app.database, folder.path());
    command
        .env("PORTCULLIS_BIND", "127.0.0.1:0")
        .env("PORTCULLIS_THROTTLE", "off")
        .env("PORTCULLIS_HASH_THREADS", "1");
    let serving = Serving::start(&mut command, "users");
    let client = app.program();
    let work = async |name: &str| {
        let before = hash_seconds(serving.process.id());
        let request = client
            .post(format!("{}/api/v1/login/", serving.url()))
            .json(&json!({"username": name, "password": PASSWORD}));
        assert_eq!(Answer::of(request).await.status, 400);
        hash_seconds(serving.process.id()) - before
    };

    // The server meets each kind of hash once; from then on it knows them all.
    for (name, _) in accounts.and_nobody() {
        work(name).await;
    }
    let names: Vec<(&str, &str)> = accounts.and_nobody().collect();
    let mut least = vec![f64::INFINITY; names.len()];
    for round in 1..=*ROUNDS.end() {
        for (least, (name, _)) in least.iter_mut().zip(&names) {
            *least = least.min(work(name).await);
        }
        if round >= *ROUNDS.start() && told_apart(&names, &least).is_empty() {
            return;
        }
    }
    let milliseconds = least[names.len() - 1] * 1000.0;
    let told_apart = told_apart(&names, &least);
    panic!("nobody: 1.00, {milliseconds:.1} ms; {told_apart:.2?}");
}

/// The kinds whose work differs from that of an unknown name (the last one), and by how
/// much.
fn told_apart<'a>(names: &[(&str, &'a str)], least: &[f64]) -> Vec<(&'a str, f64)> {
    let nobodys = least[names.len() - 1];
    assert!(nobodys > 0.0, "no hashing threads");
    names
        .iter()
        .zip(least)
        .map(|((_, kind), least)| (*kind, least / nobodys))
        .filter(|(_, ratio)| !(0.85..1.18).contains(ratio))
        .collect()
}

/// Processor time that a process's hashing threads have had; a thread that has
/// not run yet has no name.
fn hash_seconds(process: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("threads");
    let seconds: Vec<f64> = threads
        .filter_map(|thread| {
            let folder = thread.expect("a thread").path();
            let name = fs::read_to_string(folder.join("comm")).ok()?;
            if !name.starts_with("hash-") {
                return None;
            }
            // Nanoseconds on a processor, nanoseconds waiting, turns.
            let times = fs::read_to_string(folder.join("schedstat")).expect("its times");
            let nanos: f64 = times.split(' ').next()?.parse().ok()?;
            Some(nanos / 1e9)
        })
        .collect();
    seconds.iter().sum()
}
