//! What is true of the repository itself.

mod sources;

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use each_database::each_database;
use portcullis::settings::KEYS;
use sources::Sources;

use crate::support::database::{Backend, TestDatabase};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// Every source file below these modules, with its code: no comments, no tests.
fn sources(modules: &[&str]) -> Vec<(String, String)> {
    fn walk(path: &Path, into: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), into);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path.to_owned());
        }
    }
    let mut files = Vec::new();
    for module in modules {
        let folder = root().join("src").join(module);
        if folder.exists() {
            walk(&folder, &mut files);
        }
        let file = root().join("src").join(format!("{module}.rs"));
        files.extend(file.exists().then_some(file));
    }
    assert!(!files.is_empty(), "{modules:?}");
    let code = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_owned();
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    files
        .iter()
        .map(|file| (file.display().to_string(), code(file)))
        .collect()
}

#[test]
fn calls_go_one_way() {
    for (modules, forbidden) in [
        (
            &["auth", "models", "db"][..],
            &[
                "actix_web",
                "actix_session",
                "actix_identity",
                "crate::http",
                "crate::handlers",
                "crate::routes",
            ][..],
        ),
        (&["models", "db"], &["crate::auth"]),
        (&["auth"], &["crate::schema"]),
        (&["db"], &["crate::models", "crate::schema"]),
        (
            &["../crates/django-auth/src"],
            &["std::fs", "std::net", "async ", "unsafe "],
        ),
        (
            &["handlers", "http", "routes"],
            &["diesel", "crate::schema", "crate::db"],
        ),
        (&["http"], &["crate::handlers", "crate::routes"]),
        (&["handlers"], &["crate::routes"]),
    ] {
        for (file, code) in sources(modules) {
            for name in forbidden {
                assert!(!code.contains(name), "{file} names {name}");
            }
        }
    }
}

fn listed(lines: &[String]) -> String {
    format!("{}:\n\n{}\n", lines.len(), lines.join("\n\n"))
}

/// Not even within a layer. `docs/ARCHITECTURE.md` has the layers.
#[test]
fn modules_make_no_circle_and_calls_go_one_way() {
    let arrows = Sources::read(&root()).arrows();
    assert!(arrows.len() > 100, "the sources are not read any more");
    let (upward, circles) = (sources::upward(&arrows), sources::circles(&arrows));
    assert!(
        upward.is_empty() && circles.is_empty(),
        "arrows that go up, {}\ncircles, {}",
        listed(&upward),
        listed(&circles)
    );
}

#[test]
fn connections_know_no_table() {
    let schema = read("src/schema.rs");
    let tables: Vec<&str> = schema
        .split("diesel::table! {")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    assert!(tables.contains(&"django_session"), "{tables:?}");
    let is_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (file, source) in &Sources::read(&root()).files {
        if file != "src/db.rs" && !file.starts_with("src/db/") {
            continue;
        }
        for literal in &source.literals {
            let words = literal.split(|c| !is_of_a_name(c));
            let named = words.filter(|word| tables.contains(word));
            found.extend(named.map(|table| format!("{file} names {table}")));
        }
    }
    assert!(found.is_empty(), "{}", listed(&found));
}

const LONG: usize = 40;
const LONGEST: usize = 59;

#[test]
fn few_functions_are_long_and_none_is_very_long() {
    let mut long = Vec::new();
    for (file, source) in Sources::read(&root()).files {
        let functions = source.functions.into_iter();
        let functions = functions.filter(|function| function.lines > LONG);
        long.extend(functions.map(|function| (function.lines, file.clone(), function.name)));
    }
    long.sort();
    let told = |(lines, file, name): &(usize, String, String)| format!("{file}: {name}, {lines}");
    let told: Vec<String> = long.iter().map(told).collect();
    let is_very_long = long.last().is_some_and(|(lines, ..)| *lines > LONGEST);
    assert!(long.len() <= 5 && !is_very_long, "{}", listed(&told));
}

/// In its first comment, with these words.
#[test]
fn a_long_file_says_that_it_is_long_because() {
    let mut silent = Vec::new();
    for (file, source) in Sources::read(&root()).files {
        let code = source.text.split("#[cfg(test)]\nmod tests {").next();
        let lines = code.unwrap_or_default().lines().count();
        let first = source
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"));
        let first: Vec<&str> = first
            .map(|line| line.trim_start_matches("//!").trim())
            .collect();
        if lines > 300 && !first.join(" ").to_lowercase().contains("long because") {
            silent.push(format!("{file}: {lines} lines"));
        }
    }
    assert!(silent.is_empty(), "{}", listed(&silent));
}

#[test]
fn there_is_no_more_of_it_than_that() {
    fn lines(folder: &Path) -> usize {
        let count = |path: PathBuf| match path.extension() {
            _ if path.is_dir() => lines(&path),
            Some(ending) if ending == "rs" => {
                std::fs::read_to_string(path).unwrap().lines().count()
            }
            _ => 0,
        };
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| count(entry.unwrap().path())).sum()
    }
    let lines = lines(&root().join("src")) + lines(&root().join("crates"));
    assert!(lines <= 22_500, "src and crates have {lines} lines");
}

/// `LIMIT ?` makes SQLite parse a statement again for each value, and so does
/// STAT4; `sql_query` is never cached.
#[test]
fn hot_queries_are_never_prepared_again() {
    for (file, code) in sources(&["models"]) {
        // A login's one statement that Diesel has no words for may be.
        let slow = match file.ends_with("models/attempt.rs") {
            true => vec![".first("],
            false => vec![".first(", "sql_query("],
        };
        for slow in slow {
            assert!(!code.contains(slow), "{file} has {slow}");
        }
    }
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        compile_options: String,
    }
    let mut c = SqliteConnection::establish(":memory:").unwrap();
    let options: Vec<Row> = diesel::sql_query("PRAGMA compile_options")
        .load(&mut c)
        .unwrap();
    let has = |name: &str| options.iter().any(|row| row.compile_options == name);
    assert!(has("ENABLE_QPSG"));
    assert!(!has("ENABLE_STAT4") && !has("ENABLE_MEMORY_MANAGEMENT"));
}

#[test]
fn migrations_are_the_same_on_both_databases() {
    let names = |backend: &str| {
        let folder = root().join("migrations").join(backend);
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .inspect(|path| {
                for file in ["up.sql", "down.sql"] {
                    let text = std::fs::read_to_string(path.join(file)).expect("both ways");
                    assert!(text.lines().any(
                        |line| !line.trim_start().starts_with("--") && !line.trim().is_empty()
                    ));
                }
            })
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert!(!names("sqlite").is_empty());
    assert_eq!(names("sqlite"), names("postgresql"));
}

fn migrations(backend: &str) -> FileBasedMigrations {
    FileBasedMigrations::from_path(root().join("migrations").join(backend)).expect("migrations")
}

/// Runs what is pending, or reverts everything.
fn migrate(database: &TestDatabase, up: bool) -> Result<(), String> {
    fn go<DB, C>(c: &mut C, source: FileBasedMigrations, up: bool) -> Result<(), String>
    where
        DB: diesel::backend::Backend,
        C: MigrationHarness<DB>,
    {
        let done = if up {
            c.run_pending_migrations(source)
        } else {
            c.revert_all_migrations(source)
        };
        done.map(drop).map_err(|error| error.to_string())
    }
    if database.is_sqlite() {
        let mut c = SqliteConnection::establish(&database.url()).unwrap();
        c.batch_execute("PRAGMA foreign_keys = ON").unwrap();
        go(&mut c, migrations("sqlite"), up)
    } else {
        let mut c = diesel::pg::PgConnection::establish(&database.url()).unwrap();
        go(&mut c, migrations("postgresql"), up)
    }
}

/// The schema, as text.
fn schema(database: &TestDatabase) -> Vec<Option<String>> {
    database.texts(if database.is_sqlite() {
        "SELECT sql AS text FROM sqlite_master WHERE name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name"
    } else {
        "SELECT CAST(table_name || column_name || data_type || is_nullable AS text) AS text
         FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_\\_%'
         UNION ALL
         SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename NOT LIKE '\\_\\_%'
         ORDER BY 1"
    })
}

#[each_database]
async fn migrations_go_up_down_and_up_again(backend: Backend) {
    let database = backend.create();
    migrate(&database, true).unwrap();
    let first = schema(&database);
    assert!(first.len() >= 4, "{first:?}");

    migrate(&database, false).unwrap();
    assert!(
        schema(&database)
            .iter()
            .flatten()
            .all(|sql| sql.contains("sqlite_sequence"))
    );

    migrate(&database, true).unwrap();
    assert_eq!(schema(&database), first);
}

#[each_database]
async fn users_are_not_dropped_by_a_revert(backend: Backend) {
    let database = backend.create();
    migrate(&database, true).unwrap();
    database.execute(
        "INSERT INTO accounts_customuser
           (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
         VALUES ('', FALSE, 'alice', '', '', '', FALSE, TRUE, '2026-11-23 00:00:00')",
    );

    let refused = migrate(&database, false).unwrap_err();

    assert!(refused.contains("still has users"), "{refused}");
    assert_eq!(database.count("accounts_customuser"), 1);
}

#[test]
fn the_readme_tells_of_every_setting() {
    let readme = read("README.md");
    for key in KEYS.iter() {
        let default = match (key.default, key.default_note) {
            ("", "") => "none".to_owned(),
            ("", note) => note.to_owned(),
            (default, _) => format!("`{default}`"),
        };
        let row = format!("| `{}` | {default} | {} |", key.name, key.meaning);
        assert!(readme.contains(&row), "README.md has no row\n{row}");
    }
    let (_, table) = readme.split_once("| variable |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| !line.is_empty());
    assert_eq!(rows.count(), KEYS.len(), "README.md has rows of its own");
}

/// Each row of the README's table of places names files, and what is in them:
/// `src/auth/login.rs` `log_in`. Each is defined there.
#[test]
fn the_readme_names_what_is_where() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("## Where is").expect("the table");
    let table = table.split("\n## ").next().unwrap_or_default();
    let mut places = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let is_path = |text: &&str| text.contains('/') || text.contains('.');
        for of_one_file in named.chunk_by(|_, next| !is_path(next)) {
            let (path, symbols) = of_one_file.split_first().expect("a path");
            assert!(root().join(path).exists(), "README.md names {path}");
            places += 1;
            if !path.starts_with("src/") && !path.starts_with("crates/") {
                continue;
            }
            assert!(
                !symbols.is_empty(),
                "README.md says of {path} only that it is there"
            );
            let text = read(path);
            for symbol in symbols {
                assert!(defines(&text, symbol), "{path} does not define {symbol}");
            }
        }
    }
    assert!(places >= 10, "{places}");
}

/// `Auth::log_in` is defined where `fn log_in` is.
fn defines(text: &str, symbol: &str) -> bool {
    let name = symbol.rsplit("::").next().unwrap_or_default();
    let keywords = [
        "fn",
        "struct",
        "enum",
        "trait",
        "type",
        "const",
        "static",
        "mod",
        "macro_rules!",
    ];
    keywords.iter().any(|keyword| {
        let definition = format!("{keyword} {name}");
        let mut after = text.split(definition.as_str()).skip(1);
        after.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

/// Links to other files, in every document; those to the web are not followed.
#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents: Vec<PathBuf> = ["", "docs", "docs/decisions", "migrations"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    documents.extend(
        ["README.md", "data/README.md"].map(|path| root().join("crates/django-auth").join(path)),
    );
    let mut links = 0;
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        let document = document.display();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !link.contains("://") {
                assert!(folder.join(file).exists(), "{document} links to {link}");
                links += 1;
            }
        }
    }
    assert!(links >= 50, "the links are not found any more: {links}");
}
