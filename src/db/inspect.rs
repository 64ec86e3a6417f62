//! What the database says of itself: its tables, and with which rights we are there.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use super::connection::{Connection, on};

/// A table, as the database describes it.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The name that the database itself uses.
    pub name: String,
    /// In their order.
    pub columns: Vec<Column>,
    /// The columns that no two rows have alike, each on its own.
    pub unique: Vec<String>,
    /// The column of the primary key, if that is a single one.
    pub primary_key: Option<String>,
    /// The columns that refer to another table's, each on its own.
    pub references: Vec<Reference>,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, QueryableByName)]
pub struct Column {
    /// Its name.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Its type in lower case; on PostgreSQL without a length: `int8`, `varchar`.
    #[diesel(sql_type = Text)]
    pub data_type: String,
}

/// A foreign key.
#[derive(Debug, Clone, QueryableByName)]
pub struct Reference {
    /// The column that refers.
    #[diesel(sql_type = Text)]
    pub column: String,
    /// [`Table::name`] of the table that it refers to.
    #[diesel(sql_type = Text)]
    pub table: String,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Unique {
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = Bool)]
    is_primary: bool,
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The table of that name, quoted where it has to be; `None` if there is none.
pub fn table(connection: &mut Connection<'_>, quoted: &str) -> QueryResult<Option<Table>> {
    match connection {
        Connection::Sqlite(c) => {
            let plain = quoted.trim_matches('"');
            let rows = |query: &str| diesel::sql_query(query).bind::<Text, _>(plain.to_owned());
            let names: Vec<Named> = rows(sqlite::NAME).load(*c)?;
            let unique: Vec<Unique> = rows(sqlite::UNIQUE).load(*c)?;
            let columns = rows(sqlite::COLUMNS).load(*c)?;
            let references = rows(sqlite::REFERENCES).load(*c)?;
            Ok(described(names, columns, unique, references))
        }
        Connection::Postgres(c) => {
            let rows = |query: &str| diesel::sql_query(query).bind::<Text, _>(quoted.to_owned());
            let names: Vec<Named> = rows(postgres::NAME).load(*c)?;
            let unique: Vec<Unique> = rows(postgres::UNIQUE).load(*c)?;
            let columns = rows(postgres::COLUMNS).load(*c)?;
            let references = rows(postgres::REFERENCES).load(*c)?;
            Ok(described(names, columns, unique, references))
        }
    }
}

fn described(
    names: Vec<Named>,
    columns: Vec<Column>,
    unique: Vec<Unique>,
    references: Vec<Reference>,
) -> Option<Table> {
    let name = names.into_iter().next()?.name;
    let primary_key = unique.iter().find(|unique| unique.is_primary);
    Some(Table {
        name,
        columns,
        primary_key: primary_key.and_then(|unique| unique.name.clone()),
        unique: unique
            .into_iter()
            .filter_map(|unique| unique.name)
            .collect(),
        references,
    })
}

/// The tables that have both of these columns.
pub fn tables_with(
    connection: &mut Connection<'_>,
    columns: [&str; 2],
) -> QueryResult<Vec<String>> {
    let [one, other] = columns;
    let named: Vec<Named> = match connection {
        Connection::Sqlite(c) => diesel::sql_query(sqlite::TABLES_WITH)
            .bind::<Text, _>(one)
            .bind::<Text, _>(other)
            .load(*c),
        Connection::Postgres(c) => diesel::sql_query(postgres::TABLES_WITH)
            .bind::<Text, _>(one)
            .bind::<Text, _>(other)
            .load(*c),
    }?;
    Ok(named.into_iter().map(|table| table.name).collect())
}

/// Whether we are connected as a superuser; never on SQLite, which has no users.
pub fn is_superuser(connection: &mut Connection<'_>) -> QueryResult<bool> {
    let query = diesel::dsl::sql::<Bool>("SELECT current_setting('is_superuser') = 'on'");
    match connection {
        Connection::Sqlite(_) => Ok(false),
        Connection::Postgres(c) => query.get_result(*c),
    }
}

/// Whether a text of any letters can be stored and compared.
pub fn holds_unicode(connection: &mut Connection<'_>) -> QueryResult<bool> {
    let query = diesel::dsl::sql::<Bool>("SELECT current_setting('server_encoding') = 'UTF8'");
    match connection {
        Connection::Sqlite(_) => Ok(true),
        Connection::Postgres(c) => query.get_result(*c),
    }
}

/// Whether Django has migrated this database, so that it may share the tables.
pub fn has_django(connection: &mut Connection<'_>) -> QueryResult<bool> {
    Ok(table(connection, "\"django_migrations\"")?.is_some())
}

/// Whether an index of all rows begins with that column, whatever its case: with
/// `upper(…)` on PostgreSQL, by `NOCASE` on SQLite.
pub fn has_index_without_case(
    connection: &mut Connection<'_>,
    quoted: &str,
    column: &str,
) -> QueryResult<bool> {
    let plain = match connection {
        Connection::Sqlite(_) => quoted.trim_matches('"'),
        Connection::Postgres(_) => quoted,
    };
    let query = match connection {
        Connection::Sqlite(_) => sqlite::INDEX_WITHOUT_CASE,
        Connection::Postgres(_) => postgres::INDEX_WITHOUT_CASE,
    };
    let found: Vec<Named> = on!(connection, c => diesel::sql_query(query)
        .bind::<Text, _>(plain)
        .bind::<Text, _>(column)
        .load(c))?;
    Ok(!found.is_empty())
}

/// The values of a column of text, up to a number of rows.
pub(super) fn texts(connection: &mut Connection<'_>, query: &str) -> QueryResult<Vec<String>> {
    let rows: Vec<Named> = on!(connection, c => diesel::sql_query(query).load(c))?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

mod sqlite {
    pub(super) const NAME: &str =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE";
    pub(super) const COLUMNS: &str =
        "SELECT name, lower(type) AS data_type FROM pragma_table_info(?)";
    /// Its `pk` is the position in the primary key. The last part counts the columns of
    /// each index.
    pub(super) const UNIQUE: &str = "WITH named(name) AS (VALUES (?)) \
        SELECT max(info.name) AS name, 1 AS is_primary \
            FROM named, pragma_table_info(named.name) AS info WHERE info.pk HAVING count(*) = 1 \
        UNION ALL \
        SELECT max(part.name), 0 \
            FROM named, pragma_index_list(named.name) AS list, pragma_index_info(list.name) AS part \
            WHERE list.\"unique\" AND NOT list.partial GROUP BY list.name HAVING count(*) = 1";
    pub(super) const REFERENCES: &str =
        "SELECT \"from\" AS \"column\", \"table\" FROM pragma_foreign_key_list(?)";
    pub(super) const INDEX_WITHOUT_CASE: &str = "SELECT list.name \
        FROM pragma_index_list(?) AS list, pragma_index_xinfo(list.name) AS part \
        WHERE NOT list.partial AND part.seqno = 0 AND part.name = ? AND part.coll = 'NOCASE'";
    pub(super) const TABLES_WITH: &str = "SELECT schema.name FROM sqlite_schema AS schema \
        WHERE schema.type = 'table' \
            AND EXISTS (SELECT 1 FROM pragma_table_info(schema.name) WHERE name = ?) \
            AND EXISTS (SELECT 1 FROM pragma_table_info(schema.name) WHERE name = ?) \
        ORDER BY schema.name";
}

mod postgres {
    pub(super) const NAME: &str =
        "SELECT oid::regclass::text AS name FROM pg_class WHERE oid = to_regclass($1)";
    pub(super) const COLUMNS: &str = "SELECT a.attname::text AS name, t.typname::text AS data_type \
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
        WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
        ORDER BY a.attnum";
    pub(super) const UNIQUE: &str = "SELECT a.attname::text AS name, i.indisprimary AS is_primary \
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
        WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid \
            AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indexprs IS NULL";
    pub(super) const REFERENCES: &str = "SELECT a.attname::text AS \"column\", \
            c.confrelid::regclass::text AS \"table\" \
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] \
        WHERE c.conrelid = to_regclass($1) AND c.contype = 'f' AND cardinality(c.conkey) = 1";
    pub(super) const INDEX_WITHOUT_CASE: &str = "SELECT indexrelid::regclass::text AS name \
        FROM pg_index \
        WHERE indrelid = to_regclass($1) AND indisvalid AND indpred IS NULL \
            AND replace(pg_get_indexdef(indexrelid, 1, true), '::text', '') \
                = 'upper(' || quote_ident($2) || ')'";
    pub(super) const TABLES_WITH: &str = "SELECT c.oid::regclass::text AS name \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' \
            AND EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = c.oid AND attname = $1) \
            AND EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = c.oid AND attname = $2) \
        ORDER BY 1";
}
