//! A database for one test, and a look into it past the server.

use diesel::connection::SimpleConnection;
use diesel::deserialize::QueryableByName;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::sqlite::SqliteConnection;
use uuid::Uuid;

/// A kind of database.
#[derive(Clone)]
pub enum Backend {
    Sqlite,
    /// The URL of a database in which each test makes a schema of its own.
    Postgres(String),
}

impl Backend {
    /// That of `TEST_POSTGRES_URL`, without which no PostgreSQL test is built.
    pub fn postgres() -> Self {
        let url = std::env::var("TEST_POSTGRES_URL");
        Self::Postgres(url.expect("TEST_POSTGRES_URL is set, as it was when this was built"))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// A new, empty database, gone when the value is dropped.
    pub fn create(&self) -> TestDatabase {
        match self {
            Self::Sqlite => TestDatabase::Sqlite(tempfile::tempdir().expect("a folder")),
            Self::Postgres(url) => {
                let schema = format!("test_{}", Uuid::new_v4().simple());
                let mut c = PgConnection::establish(url).expect("TEST_POSTGRES_URL answers");
                c.batch_execute(&format!("CREATE SCHEMA {schema}"))
                    .expect("a schema");
                let separator = if url.contains('?') { '&' } else { '?' };
                TestDatabase::Postgres {
                    url: format!(
                        "{url}{separator}options=-c%20search_path%3D{schema}&application_name={schema}"
                    ),
                    schema,
                }
            }
        }
    }
}

pub enum TestDatabase {
    Sqlite(tempfile::TempDir),
    Postgres { url: String, schema: String },
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
}

impl TestDatabase {
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("test.db").display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// The schema that a PostgreSQL test has for itself.
    pub fn schema(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { schema, .. } => Some(schema),
        }
    }

    /// The folder of a SQLite database.
    pub fn folder(&self) -> Option<&std::path::Path> {
        match self {
            Self::Sqlite(folder) => Some(folder.path()),
            Self::Postgres { .. } => None,
        }
    }

    fn sqlite(&self) -> SqliteConnection {
        let mut c = SqliteConnection::establish(&self.url()).expect("the test's database");
        c.batch_execute("PRAGMA busy_timeout = 10000")
            .expect("a pragma");
        c
    }

    fn postgres(&self) -> PgConnection {
        PgConnection::establish(&self.url()).expect("the test's database")
    }

    /// Runs statements, as another program with access to the database would.
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(_) => self.sqlite().batch_execute(sql),
            Self::Postgres { .. } => self.postgres().batch_execute(sql),
        }
        .expect(sql);
    }

    /// Ends the server's connections, as a restart of PostgreSQL does, and waits
    /// until they are gone.
    pub fn terminate_connections(&self) {
        let schema = self.schema().expect("PostgreSQL");
        let gone = self.texts(&format!(
            "SELECT CAST(pg_terminate_backend(pid, 60000) AS text) AS text
             FROM pg_stat_activity
             WHERE application_name = '{schema}' AND pid <> pg_backend_pid()"
        ));
        assert!(!gone.is_empty(), "there was none");
        assert!(gone.iter().all(|gone| gone.as_deref() == Some("true")));
    }

    /// The rows of a query with one column, which must be named `text` and be
    /// of a text type: `SELECT CAST(id AS text) AS text FROM …`.
    pub fn texts(&self, sql: &str) -> Vec<Option<String>> {
        let query = diesel::sql_query(sql);
        let rows: Vec<TextRow> = match self {
            Self::Sqlite(_) => query.load(&mut self.sqlite()),
            Self::Postgres { .. } => query.load(&mut self.postgres()),
        }
        .expect(sql);
        rows.into_iter().map(|row| row.text).collect()
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT CAST(count(*) AS text) AS text FROM {table}");
        let rows = self.texts(&sql);
        rows[0]
            .as_deref()
            .expect("a count")
            .parse()
            .expect("a number")
    }

    /// The tables that there are, ours and Django's, on PostgreSQL.
    pub fn tables(&self) -> Vec<String> {
        let query = "SELECT CAST(tablename AS text) AS text FROM pg_tables
                     WHERE schemaname = current_schema() AND tablename NOT LIKE '\\_\\_%'";
        let tables: Vec<String> = self.texts(query).into_iter().flatten().collect();
        assert!(tables.len() >= 6, "{tables:?}");
        tables
    }

    /// The tables that there are, of whomever.
    pub fn table_names(&self) -> Vec<Option<String>> {
        self.texts(if self.is_sqlite() {
            "SELECT name AS text FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        } else {
            "SELECT CAST(tablename AS text) AS text FROM pg_tables
             WHERE schemaname = current_schema() ORDER BY 1"
        })
    }

    /// Every byte that the database keeps, as far as it can be searched.
    pub fn everything(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(folder) => {
                let files = ["test.db", "test.db-wal"].map(|name| folder.path().join(name));
                files
                    .iter()
                    .flat_map(|file| std::fs::read(file).unwrap_or_default())
                    .collect()
            }
            Self::Postgres { .. } => {
                let rows = |table: &String| {
                    self.texts(&format!("SELECT CAST(t.* AS text) AS text FROM {table} t"))
                };
                let rows: Vec<_> = self.tables().iter().flat_map(rows).flatten().collect();
                rows.concat().into_bytes()
            }
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Self::Postgres { schema, .. } = self {
            let schema = schema.clone();
            self.execute(&format!("DROP SCHEMA {schema} CASCADE"));
        }
    }
}
