//! The case file, and what we answer differently.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Where the differences are told to those who move from Django.
const GUIDE: &str = include_str!("../../docs/django.md");

/// A Django whose answers were recorded, and that Portcullis can run beside.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    #[serde(rename = "5.2")]
    Django52,
    #[serde(rename = "6.1")]
    Django61,
}

impl Reference {
    pub const ALL: [Self; 2] = [Self::Django52, Self::Django61];

    pub fn name(self) -> &'static str {
        match self {
            Self::Django52 => "5.2",
            Self::Django61 => "6.1",
        }
    }
}

/// `cases.json` and `differences.json`, put together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The versions of all that answered, for each reference.
    pub recorded: [String; Reference::ALL.len()],
    pub secret_key: String,
    pub trusted_origins: String,
    pub iterations: u32,
    pub users: Vec<User>,
    pub cases: Vec<Case>,
    #[serde(skip)]
    pub differences: Vec<Difference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub password: String,
    pub is_active: bool,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
}

/// One request, the rows it starts from, and Django's answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub n: usize,
    pub section: String,
    pub name: String,
    /// Sent to the server whose public URL is https.
    #[serde(default)]
    pub https: bool,
    /// Starts from what the case before it left behind.
    #[serde(default)]
    pub keep: bool,
    #[serde(default)]
    pub tokens: Vec<TokenRow>,
    #[serde(default)]
    pub sessions: Vec<SessionRow>,
    #[serde(default)]
    pub password_of_alice: Option<String>,
    /// Sent with pauses between.
    pub send: Vec<Vec<Piece>>,
    #[serde(default)]
    pub half_close: bool,
    /// 5.2's answer on SQLite.
    django: Expected,
    /// Where its answer there is another; 6.1's is then the same.
    #[serde(default)]
    django_on_postgres: Option<Expected>,
    /// Where its answer is another.
    #[serde(default)]
    django_6_1: Option<Expected>,
}

impl Case {
    /// That Django's answer on that database.
    pub fn answer_of(&self, django: Reference, backend: &str) -> &Expected {
        let on_postgres = self.django_on_postgres.as_ref();
        let of_6_1 = self.django_6_1.as_ref();
        on_postgres
            .filter(|_| backend == "postgres")
            .or(of_6_1.filter(|_| django == Reference::Django61))
            .unwrap_or(&self.django)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRow {
    pub key: String,
    pub user: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRow {
    pub key: String,
    pub data: String,
    pub expires_in: i64,
}

/// Bytes, written as one character each.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Piece {
    Text(String),
    Repeated { repeat: String, times: usize },
}

/// An answer, with names in the place of what is new each time.
#[derive(Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub status: u16,
    /// 100 came first.
    #[serde(default, rename = "continue")]
    pub went_on: bool,
    pub headers: BTreeMap<String, HeaderValues>,
    #[serde(default)]
    pub body: String,
    /// The title of a long page of Django's, in the place of its body.
    #[serde(default)]
    pub page: Option<String>,
    pub effect: Vec<String>,
}

/// One value, or the values of several headers of one name.
#[derive(Deserialize, Clone, PartialEq, Debug)]
#[serde(untagged)]
pub enum HeaderValues {
    One(String),
    Many(Vec<String>),
}

impl HeaderValues {
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value.clone()],
            Self::Many(values) => values.clone(),
        }
    }
}

/// Answers that are others on purpose, for one reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    pub reason: String,
    /// Only there; on the other database Django answers as we do.
    #[serde(default)]
    pub only_on: Option<String>,
    /// Only from that Django; the other answers as we do.
    #[serde(default)]
    only_from: Option<Reference>,
    /// The cases that are all answered alike.
    #[serde(default)]
    cases: Vec<usize>,
    /// How.
    #[serde(default)]
    ours: Ours,
    /// The cases that have an answer each.
    #[serde(default)]
    each: BTreeMap<usize, Ours>,
}

/// What we answer, said by what is other than Django's.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct Ours {
    /// As Django answers that case; otherwise as it answers this one, but for …
    like: Option<usize>,
    status: Option<u16>,
    headers: BTreeMap<String, Option<HeaderValues>>,
    body: Option<String>,
    effect: Option<Vec<String>>,
}

impl CaseFile {
    pub fn load() -> Self {
        let mut file: Self = serde_json::from_str(include_str!("cases.json")).expect("cases.json");
        file.differences =
            serde_json::from_str(include_str!("differences.json")).expect("differences.json");
        file.check();
        file
    }

    /// The cases that the two Djangos answer differently.
    pub fn changed(&self) -> Vec<usize> {
        let changed = self.cases.iter().filter(|case| case.django_6_1.is_some());
        changed.map(|case| case.n).collect()
    }

    fn check(&self) {
        let mut seen = BTreeSet::new();
        for difference in &self.differences {
            let numbers = difference.numbers();
            for n in &numbers {
                assert!(seen.insert(*n), "case {n} stands in two differences");
                assert!((1..=self.cases.len()).contains(n), "there is no case {n}");
            }
            let cell = format!("| {} |", ranges(&numbers));
            assert!(
                GUIDE.contains(&cell),
                "docs/django.md has no row with the cases {cell}: {}",
                difference.reason
            );
        }
    }

    pub fn case(&self, n: usize) -> &Case {
        &self.cases[n - 1]
    }

    /// What we should answer, and the reason if it is not that Django's answer.
    pub fn expected(
        &self,
        case: &Case,
        django: Reference,
        backend: &str,
    ) -> (Expected, Option<&str>) {
        let difference = self
            .differences
            .iter()
            .filter(|difference| difference.only_on.as_deref().is_none_or(|on| on == backend))
            .filter(|difference| difference.only_from.is_none_or(|from| from == django))
            .find_map(|difference| Some((difference, difference.ours(case.n)?)));
        let theirs = case.answer_of(django, backend);
        match difference {
            None => (theirs.clone(), None),
            Some((difference, ours)) => {
                let like = |n: usize| self.case(n).answer_of(django, "sqlite");
                let expected = ours.applied_to(ours.like.map_or(theirs, like));
                (expected, Some(difference.reason.as_str()))
            }
        }
    }
}

impl Difference {
    /// The numbers of its cases, in their order.
    fn numbers(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = self.cases.iter().chain(self.each.keys()).copied().collect();
        numbers.sort_unstable();
        numbers
    }

    fn ours(&self, n: usize) -> Option<&Ours> {
        let all = self.cases.contains(&n).then_some(&self.ours);
        all.or_else(|| self.each.get(&n))
    }
}

impl Ours {
    fn applied_to(&self, django: &Expected) -> Expected {
        let mut expected = django.clone();
        expected.status = self.status.unwrap_or(expected.status);
        for (name, values) in &self.headers {
            match values {
                Some(values) => expected.headers.insert(name.clone(), values.clone()),
                None => expected.headers.remove(name),
            };
        }
        if let Some(body) = &self.body {
            expected.body.clone_from(body);
            expected.page = None;
        }
        if let Some(effect) = &self.effect {
            expected.effect.clone_from(effect);
        }
        expected
    }
}

/// `3 5-7 12`: neighbours of more than two are a range.
pub fn ranges(sorted: &[usize]) -> String {
    let runs = sorted.chunk_by(|a, b| a + 1 == *b);
    let text = |run: &[usize]| match run {
        [first, .., last] if run.len() > 2 => format!("{first}-{last}"),
        run => run
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    };
    runs.map(text).collect::<Vec<_>>().join(" ")
}
