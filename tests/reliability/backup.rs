//! Backups that are made while people log in and out, and what they are good for.

use std::path::Path;
use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use each_database::each_database;

use crate::drill::Tally;
use crate::people::{Load, Person, verify};
use crate::server::serve;
use crate::support::database::{Backend, TestDatabase};

/// Some have been answered before the backup begins, and others go on meanwhile.
#[each_database]
async fn restored(backend: Backend) {
    let mut tally = Tally::default();
    for _ in 0..5 {
        let database = backend.create();
        let folder = tempfile::tempdir().unwrap();
        let serving = serve(&database, folder.path(), &[]);
        let mut people = Person::create(&database, 8);
        let busy = people.split_off(4);
        let load = Load::start(people, &[serving.url()]);
        load.goes_on(200).await;
        let mut people = load.stop().await;

        let load = Load::start(busy, &[serving.url()]);
        load.goes_on(50).await;
        let backup = folder.path().join("backup");
        let (source, target) = (Tools::of(&database), backup.clone());
        let made = actix_web::rt::task::spawn_blocking(move || source.back_up(&target));
        load.goes_on(50).await;
        made.await.unwrap();
        tally.add(load.stop().await);

        drop(serving);
        let database = Tools::of(&database).restore(database, &backup);
        let serving = serve(&database, folder.path(), &[]);
        verify(&mut people, &[serving.url()]).await;
        tally.add(people);
        tally.rounds += 1;
    }
    tally.report("database lost, backup of a busy server restored", &backend);
}

/// The commands of docs/deployment.md.
enum Tools {
    Sqlite { file: String },
    Postgres { server: String, schema: String },
}

impl Tools {
    fn of(database: &TestDatabase) -> Self {
        let url = database.url();
        match database.schema() {
            None => Self::Sqlite {
                file: url.trim_start_matches("sqlite://").to_owned(),
            },
            Some(schema) => Self::Postgres {
                server: url.split(['?']).next().unwrap().to_owned(),
                schema: schema.to_owned(),
            },
        }
    }

    fn back_up(&self, to: &Path) {
        let to = to.to_str().unwrap();
        match self {
            Self::Sqlite { file } => run("sqlite3", &[file, &format!(".backup '{to}'")]),
            Self::Postgres { server, schema } => run(
                "pg_dump",
                &["--format=custom", "--schema", schema, "--file", to, server],
            ),
        }
    }

    /// The database is gone, with all that was in it; then the backup is there.
    fn restore(&self, database: TestDatabase, from: &Path) -> TestDatabase {
        match self {
            Self::Sqlite { .. } => {
                drop(database);
                let database = Backend::Sqlite.create();
                let Self::Sqlite { file } = Self::of(&database) else {
                    panic!("not SQLite")
                };
                std::fs::copy(from, file).unwrap();
                database
            }
            Self::Postgres { server, schema } => {
                database.execute(&format!("DROP SCHEMA {schema} CASCADE"));
                let from = from.to_str().unwrap();
                run("pg_restore", &["--exit-on-error", "--dbname", server, from]);
                database
            }
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{program}, which the drill needs: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
}

/// What Litestream does: it keeps a read transaction open, so that nobody else
/// empties the log, and moves the log into the database itself.
#[each_database(sqlite)]
async fn replicated(backend: Backend) {
    let database = backend.create();
    let folder = tempfile::tempdir().unwrap();
    let serving = serve(&database, folder.path(), &[]);
    let load = Load::start(Person::create(&database, 8), &[serving.url()]);
    let connect = || {
        let mut c = SqliteConnection::establish(&database.url()).unwrap();
        c.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA wal_autocheckpoint = 0")
            .unwrap();
        c
    };
    let (mut reader, mut mover) = (connect(), connect());
    let mut tally = Tally::default();
    for _ in 0..20 {
        reader
            .batch_execute("BEGIN; SELECT count(*) FROM sqlite_schema")
            .unwrap();
        load.goes_on(100).await;
        mover
            .batch_execute("PRAGMA wal_checkpoint(PASSIVE)")
            .unwrap();
        reader.batch_execute("ROLLBACK").unwrap();
        mover
            .batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        tally.rounds += 1;
    }
    load.goes_on(100).await;
    let mut people = load.stop().await;
    verify(&mut people, &[serving.url()]).await;
    let refused: usize = people.iter().map(|person| person.seen.refused).sum();
    assert_eq!(refused, 0, "nobody was told to come back");
    tally.add(people);
    tally.report(
        "a replicator reads and checkpoints the write-ahead log",
        &backend,
    );
}
