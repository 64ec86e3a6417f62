//! Whether the real Django still answers what `tests/conformance` has of it.

use each_database::each_django;

use crate::case::{CaseFile, Expected, HeaderValues, Reference};
use crate::django::ReferenceApp;
use crate::judge::compare;
use crate::replay::replay;
use crate::support::database::Backend;

#[each_django]
async fn django_answers_as_it_was_recorded(backend: Backend, django: Reference) {
    let file = CaseFile::load();
    let database = backend.create();
    let app = ReferenceApp::start(django, &database, &file);
    let mut differences = Vec::new();
    replay(
        &file,
        &database,
        &[],
        |_| app.port,
        |judge, case, exchange| {
            let wrong = match judge.observe(case, exchange) {
                Ok(observed) => {
                    let recorded = case.answer_of(django, backend.name());
                    compare(recorded, &as_recorded(observed))
                }
                Err(problem) => vec![problem],
            };
            if !wrong.is_empty() {
                let (n, section, name) = (case.n, &case.section, &case.name);
                differences.push(format!(
                    "#{n} {section}: {name}\n    {}",
                    wrong.join("\n    ")
                ));
            }
        },
    );
    assert!(
        differences.is_empty(),
        "{} answers are not those of {}, tests/conformance/cases.json:\n\n{}",
        differences.len(),
        django.name(),
        differences.join("\n\n")
    );
}

/// The recording calls each cookie that is set a new one, and takes no notice of a
/// session that is saved again with the same data.
fn as_recorded(mut answer: Expected) -> Expected {
    let cookie = |cookie: String| match cookie.split_once(';') {
        Some((pair, rest)) if pair.ends_with('"') => format!("{pair};{rest}"),
        Some((pair, rest)) if pair.starts_with("csrftoken=") => {
            format!("csrftoken=<new CSRF secret>;{rest}")
        }
        Some((_, rest)) => format!("sessionid=<new session key>;{rest}"),
        None => cookie,
    };
    if let Some(cookies) = answer.headers.get_mut("Set-Cookie") {
        *cookies = HeaderValues::Many(cookies.to_vec().into_iter().map(cookie).collect());
    }
    answer.effect.retain(|line| {
        let saved = line
            .strip_prefix("~session[")
            .and_then(|line| line.split_once("] "));
        saved
            .and_then(|(_, data)| data.split_once(" -> "))
            .is_none_or(|(old, new)| old != new)
    });
    answer
}
