use std::sync::atomic::AtomicUsize;

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use proptest::prelude::*;

use super::*;
use crate::db::{Connection, DatabaseUrl, Table, UserTable};

struct Number(usize);

impl Remembered for Number {
    type Kept = usize;
    type Sought = usize;

    fn sought(&self) -> &usize {
        &self.0
    }

    fn kept(&self) -> usize {
        self.0
    }

    fn texts(&self) -> [Cow<'_, str>; 2] {
        [self.0.to_string().into(), self.0.to_string().into()]
    }
}

struct Fixture {
    _folder: tempfile::TempDir,
    other: SqliteConnection,
    look_ups: LookUps<Number, usize>,
    asked: Arc<AtomicUsize>,
}

impl Fixture {
    /// A database where even numbers are found, and another connection.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let users = UserTable::parse("accounts_customuser").unwrap();
        let database = Database::open(&DatabaseUrl::Sqlite(path.clone()), &users, 1).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let look_ups = database.look_ups(Table::Tokens, move |_, keys: &[Number]| {
            count.fetch_add(keys.len(), Ordering::Relaxed);
            let even = |Number(n): &Number| n.is_multiple_of(2).then_some(*n);
            Ok(keys.iter().map(even).collect())
        });
        let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        other.batch_execute("CREATE TABLE t (x INTEGER)").unwrap();
        Self {
            _folder: folder,
            other,
            look_ups,
            asked,
        }
    }

    /// What is found, and how many times the database was asked for it.
    fn get(&self, number: usize) -> (Option<usize>, usize) {
        let before = self.asked.load(Ordering::Relaxed);
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        let found = runtime.block_on(self.look_ups.get(Number(number)));
        let asked = self.asked.load(Ordering::Relaxed) - before;
        (found.unwrap(), asked)
    }

    /// Rows, and keys without one.
    fn remembered(&self) -> (usize, usize) {
        match &self.look_ups.0 {
            Way::Sqlite(Remembering { memory, .. }) => (memory.present.len(), memory.absent.len()),
            Way::Postgres(_) => (0, 0),
        }
    }
}

const STATEMENTS: [&str; 6] = [
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET x = 2",
    "DELETE FROM t",
    "PRAGMA user_version = 7",
    "VACUUM",
    "PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (1)",
];

#[test]
fn an_answer_is_remembered_until_somebody_commits() {
    for (number, answer) in [(2, Some(2)), (1, None)] {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.get(number), (answer, 1), "asked for once only");
        for statement in STATEMENTS {
            assert_eq!(fixture.get(number), (answer, 1), "before: {statement}");
            assert_eq!(fixture.get(number), (answer, 0), "before: {statement}");
            fixture.other.batch_execute(statement).unwrap();
        }
        assert_eq!(fixture.get(number), (answer, 1));
    }
}

#[test]
fn what_comes_and_goes_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut fixture = Fixture::new();
    let there = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&there);
    let users = UserTable::parse("accounts_customuser").unwrap();
    let database = Database::open(&DatabaseUrl::Sqlite(path.clone()), &users, 1).unwrap();
    fixture.look_ups = database.look_ups(Table::Tokens, move |_, keys: &[Number]| {
        let n = shared.load(Ordering::Relaxed);
        Ok(keys.iter().map(|_| (n > 0).then_some(n)).collect())
    });
    fixture.other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    for n in [0, 1, 0, 2, 3, 0, 0, 4] {
        let statement = format!("PRAGMA user_version = {}", n + 10);
        there.store(n, Ordering::Relaxed);
        // Each a commit, also where the number stays the same.
        fixture
            .other
            .batch_execute("PRAGMA user_version = 99")
            .unwrap();
        fixture.other.batch_execute(&statement).unwrap();
        for _ in 0..3 {
            assert_eq!(fixture.get(5).0, (n > 0).then_some(n));
        }
    }
}

#[test]
fn what_changes_nothing_is_no_commit() {
    let mut fixture = Fixture::new();
    fixture.get(2);
    assert_eq!(fixture.get(2), (Some(2), 1));
    for statement in [
        "SELECT * FROM t",
        "BEGIN IMMEDIATE; INSERT INTO t VALUES (1); ROLLBACK",
    ] {
        fixture.other.batch_execute(statement).unwrap();
        assert_eq!(fixture.get(2), (Some(2), 0), "{statement}");
    }
}

#[test]
fn what_is_asked_for_once_is_not_remembered() {
    let fixture = Fixture::new();
    for number in 0..1000 {
        fixture.get(number);
    }
    assert_eq!(fixture.remembered(), (0, 0));
}

#[test]
fn memory_is_bounded_and_those_without_a_row_take_none_of_the_others() {
    let fixture = Fixture::new();
    let ask = |number| {
        fixture.get(number);
        fixture.get(number);
    };
    (0..100).for_each(|number| ask(2 * number));
    (0..3 * ABSENT).for_each(|number| ask(2 * number + 1));
    assert_eq!(fixture.remembered().0, 100);

    (0..2 * PRESENT).for_each(|number| ask(2 * number));
    let (present, absent) = fixture.remembered();
    for (count, limit) in [(present, PRESENT), (absent, ABSENT)] {
        assert!((limit / 2..=limit).contains(&count), "{count}");
    }
}

/// A database with Django's tables, and what we remember of its tokens.
struct Tokens {
    _folder: tempfile::TempDir,
    database: Database,
    other: SqliteConnection,
    look_ups: LookUps<Number, i64>,
    asked: Arc<AtomicUsize>,
    runtime: tokio::runtime::Runtime,
}

#[derive(QueryableByName)]
struct Owner {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    found: i64,
}

/// A number that tells what a token's row and its user's row hold.
fn found_under(connection: &mut SqliteConnection, key: usize) -> Option<i64> {
    let query = format!(
        "SELECT 100 * user_id + length(u.email) AS found FROM authtoken_token
         JOIN accounts_customuser u ON u.id = user_id WHERE key = '{key}'"
    );
    let found: Option<Owner> = diesel::sql_query(query)
        .get_result(connection)
        .optional()
        .unwrap();
    found.map(|owner| owner.found)
}

impl Tokens {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let url = DatabaseUrl::Sqlite(path.clone());
        let users = UserTable::parse("accounts_customuser").unwrap();
        Database::migrate(&url, &users).unwrap();
        let database = Database::open(&url, &users, 1).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let look_ups = database.look_ups(Table::Tokens, move |c, keys: &[Number]| {
            count.fetch_add(keys.len(), Ordering::Relaxed);
            let Connection::Sqlite(c) = c else {
                panic!("this is SQLite");
            };
            Ok(keys.iter().map(|key| found_under(c, key.0)).collect())
        });
        let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        other.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
        let tokens = Self {
            _folder: folder,
            database,
            other,
            look_ups,
            asked,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
        };
        for user in 1..=3 {
            tokens.write(format!(
                "INSERT INTO accounts_customuser VALUES
                 ({user}, '', NULL, 0, 'user{user}', '', '', '', 0, 1, '2026-11-25')"
            ));
        }
        tokens
    }

    fn get(&self, key: usize) -> Option<i64> {
        self.runtime
            .block_on(self.look_ups.get(Number(key)))
            .unwrap()
    }

    /// How many times the database is asked for that key, of so many.
    fn queries(&self, key: usize, times: usize) -> usize {
        let before = self.asked.load(Ordering::Relaxed);
        (0..times).for_each(|_| {
            self.get(key);
        });
        self.asked.load(Ordering::Relaxed) - before
    }

    /// By our own writer.
    fn write(&self, statement: String) -> bool {
        let work = move |c: &mut Connection<'_>| match c {
            Connection::Sqlite(c) => c.batch_execute(&statement),
            Connection::Postgres(_) => panic!("this is SQLite"),
        };
        self.runtime.block_on(self.database.write(work)).is_ok()
    }

    /// By somebody else.
    fn write_elsewhere(&mut self, statement: &str) -> bool {
        self.other.batch_execute(statement).is_ok()
    }

    fn sqlite(&self) -> &Arc<Sqlite> {
        match &self.database.backend {
            Backend::Sqlite(sqlite) => sqlite,
            Backend::Postgres(_) => panic!("this is SQLite"),
        }
    }
}

#[test]
fn a_commit_of_ours_makes_out_of_date_what_it_touches_and_no_more() {
    let tokens = Tokens::new();
    let insert = |key: usize, user: usize| {
        tokens.write(format!(
            "INSERT INTO authtoken_token VALUES ('{key}', '2026-11-25', {user})"
        ))
    };
    assert!(insert(1, 1) && insert(2, 2));
    for key in 1..=4 {
        tokens.queries(key, 2);
        assert_eq!(tokens.queries(key, 1), 0, "{key}");
    }

    // Another row, and none at all.
    assert!(insert(3, 3));
    assert!(tokens.write("UPDATE django_session SET expire_date = ''".to_owned()));
    assert!(!tokens.write("UPDATE authtoken_token SET key = NULL".to_owned()));
    assert_eq!(tokens.queries(2, 1), 0);
    assert_eq!(tokens.queries(4, 1), 0, "and nobody has it yet");
    assert_eq!(tokens.get(3), Some(300), "which nobody had");
    // One that did not come to be may well be looked for again.
    assert_eq!(tokens.get(1), Some(100));

    assert!(tokens.write("UPDATE accounts_customuser SET email = 'a' WHERE id = 1".to_owned()));
    assert_eq!(tokens.queries(2, 1), 0);
    assert_eq!(tokens.get(1), Some(101));
    assert!(tokens.write("DELETE FROM authtoken_token WHERE user_id = 2".to_owned()));
    assert_eq!(tokens.get(2), None);
    assert!(tokens.write("UPDATE authtoken_token SET key = '4' WHERE key = '1'".to_owned()));
    assert_eq!((tokens.get(1), tokens.get(4)), (None, Some(101)));
    assert!(tokens.write("DELETE FROM authtoken_token".to_owned()));
    assert_eq!((tokens.get(3), tokens.get(4)), (None, None));
}

#[test]
fn where_all_keys_are_known_nobodys_are_not_looked_for() {
    let mut tokens = Tokens::new();
    // Too few to have all keys read.
    let queries =
        |keys: std::ops::Range<usize>| -> usize { keys.map(|key| tokens.queries(key, 1)).sum() };
    assert_eq!(queries(0..20), 20);
    tokens.sqlite().take_roll(Table::Tokens);
    assert_eq!(queries(100..200), 0);

    let insert = |key, user| format!("INSERT INTO authtoken_token VALUES ('{key}', '', {user})");
    assert!(tokens.write(insert(150, 1)));
    assert_eq!(tokens.get(150), Some(100));
    assert_eq!(tokens.queries(151, 3), 0, "ours add to what is known");

    assert!(tokens.write_elsewhere(&insert(151, 2)));
    assert_eq!(tokens.get(151), Some(200));
    assert_eq!(tokens.queries(152, 1), 1, "after somebody else nothing is");
    tokens.sqlite().take_roll(Table::Tokens);
    assert_eq!(tokens.queries(152, 1), 0);
    assert_eq!(tokens.queries(151, 1), 1);
}

#[test]
fn a_table_of_too_many_keys_is_not_taken_for_known() {
    let mut tokens = Tokens::new();
    let many = "PRAGMA foreign_keys = OFF;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 70000)
         INSERT INTO authtoken_token SELECT i, '', 10 + i FROM n;
         UPDATE authtoken_token SET user_id = 1 WHERE key = '69999'";
    assert!(tokens.write_elsewhere(many));
    tokens.sqlite().take_roll(Table::Tokens);
    assert_eq!(tokens.get(69_999), Some(100));
    assert_eq!(tokens.queries(70_001, 1), 1);
}

#[test]
fn after_another_schema_the_writer_tells_again() {
    let mut tokens = Tokens::new();
    let insert = |key, user| format!("INSERT INTO authtoken_token VALUES ('{key}', '', {user})");
    assert!(tokens.write(insert(1, 1)));
    assert!(tokens.write_elsewhere("ALTER TABLE django_session ADD COLUMN more"));
    let is_remembered = |tokens: &Tokens| tokens.queries(1, 1) == 0;
    tokens.queries(1, 2);
    assert!(is_remembered(&tokens));

    assert!(tokens.write(insert(2, 2)));
    assert!(!is_remembered(&tokens), "nobody knows what it does there");
    assert!(tokens.write(insert(3, 3)));
    assert!(is_remembered(&tokens));
}

#[test]
fn many_unknown_keys_have_all_keys_read() {
    let tokens = Tokens::new();
    let start = std::time::Instant::now();
    let mut unknown = 0..;
    while tokens.queries(unknown.next().unwrap(), 1) > 0 {
        assert!(start.elapsed().as_secs() < 10, "they never are");
    }
    assert!(unknown.start > 64, "not for a few: {}", unknown.start);
}

#[derive(Debug, Clone)]
enum Step {
    Get(usize),
    Ours(Vec<String>),
    Elsewhere(String),
    TakeRoll,
}

/// Statements on few keys and users, so that they meet. Some fail, as two tokens of
/// one user do.
fn statement() -> impl Strategy<Value = String> {
    let (key, user) = (0..6_usize, 1..=3_usize);
    (0..8, key.clone(), key, user).prop_map(|(kind, key, other, user)| match kind {
        0 | 1 => format!("INSERT INTO authtoken_token VALUES ('{key}', '', {user})"),
        2 => format!("DELETE FROM authtoken_token WHERE key = '{key}'"),
        3 => format!("UPDATE authtoken_token SET key = '{other}' WHERE key = '{key}'"),
        4 => format!("UPDATE authtoken_token SET user_id = {user} WHERE key = '{key}'"),
        5 => format!("UPDATE accounts_customuser SET email = email || 'x' WHERE id = {user}"),
        6 => format!("UPDATE OR IGNORE authtoken_token SET key = '{key}' WHERE user_id = {user}"),
        _ => "DELETE FROM authtoken_token".to_owned(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_usize).prop_map(Step::Get),
        3 => proptest::collection::vec(statement(), 1..3).prop_map(Step::Ours),
        1 => statement().prop_map(Step::Elsewhere),
        1 => Just(Step::TakeRoll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever writes, and whatever is remembered: an answer is what the database
    /// says at that moment.
    #[test]
    fn every_answer_is_what_is_committed(steps in proptest::collection::vec(step(), 1..80)) {
        let mut tokens = Tokens::new();
        for step in steps {
            match step {
                Step::Get(key) => {
                    let expected = found_under(&mut tokens.other, key);
                    prop_assert_eq!(tokens.get(key), expected, "{}", key);
                }
                Step::Ours(statements) => drop(tokens.write(statements.join(";"))),
                Step::Elsewhere(statement) => drop(tokens.write_elsewhere(&statement)),
                Step::TakeRoll => tokens.sqlite().take_roll(Table::Tokens),
            }
        }
        for key in 0..6 {
            let expected = found_under(&mut tokens.other, key);
            prop_assert_eq!(tokens.get(key), expected, "{}", key);
        }
    }
}
