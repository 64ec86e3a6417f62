//! Which types of columns our queries fit.

use crate::models::user_id::KeyKind;
use crate::models::user_table::Field;

/// PostgreSQL's names of types, then those that Django uses on SQLite, which has no
/// types of its own.
pub(super) fn kind_of(data_type: &str) -> Option<KeyKind> {
    let is_text = |data_type: &str| data_type.starts_with("varchar") || data_type == "text";
    match data_type {
        "uuid" | "char(32)" => Some(KeyKind::Uuid),
        "citext" => Some(KeyKind::Text),
        text if is_text(text) => Some(KeyKind::Text),
        number if number.contains("int") && number != "interval" => Some(KeyKind::Integer),
        _ => None,
    }
}

pub(super) fn is_name(field: Field) -> bool {
    matches!(field, Field::FirstName | Field::LastName | Field::Email)
}

/// Whether our queries may fit a column of that type. Only what cannot work is refused:
/// PostgreSQL's types, as SQLite's say nothing of the rows.
pub(super) fn fits(field: Field, data_type: &str) -> bool {
    let others: &[&str] = match field {
        Field::Id => return true,
        Field::Password | Field::Username => &["bool", "timestamptz", "bytea", "jsonb", "uuid"],
        _ if is_name(field) => &["bool", "timestamptz", "bytea", "json", "jsonb", "uuid"],
        Field::IsActive | Field::IsStaff | Field::IsSuperuser => {
            &["int2", "int4", "int8", "varchar", "text", "bpchar"]
        }
        _ => &["date", "varchar", "text", "int4", "int8"],
    };
    !others.contains(&data_type)
}
