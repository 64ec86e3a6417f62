//! JSON as Python's `json.dumps(value, separators=(",", ":"))` writes it.
//!
//! The same value gives the same bytes as in Django, so an unchanged session is the
//! same text whoever wrote it. Python escapes all but printable ASCII and writes
//! exponents its own way.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// The value as ASCII text, the keys of objects in their own order.
pub fn to_ascii(value: &Value) -> String {
    let mut out = Vec::with_capacity(64);
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Python));
    // Values with text keys, written to memory, cannot fail, and are ASCII.
    debug_assert!(written.is_ok());
    String::from_utf8(out).unwrap_or_default()
}

struct Python;

impl Formatter for Python {
    /// Everything outside `' '..='~'` becomes `\uXXXX`, in UTF-16 units.
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        let is_special = |character: char| !(' '..='~').contains(&character);
        for part in fragment.split_inclusive(is_special) {
            let last = part.chars().next_back();
            let Some(special) = last.filter(|last| is_special(*last)) else {
                writer.write_all(part.as_bytes())?;
                continue;
            };
            let plain = part.strip_suffix(special).unwrap_or_default();
            writer.write_all(plain.as_bytes())?;
            for unit in special.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }

    /// Python's `repr(float)`.
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(python_float(value).as_bytes())
    }
}

/// The shortest digits that read back as `value`; with an exponent of at least
/// two digits from 1e16 on and below 1e-4, plain in between.
fn python_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific; // not finite, which JSON values never are
    };
    match exponent.parse::<i32>() {
        Ok(power) if (-4..16).contains(&power) => format!("{value:?}"),
        Ok(power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", power.unsigned_abs())
        }
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    #[test]
    fn every_vector_is_written_as_python_wrote_it() {
        let rows = [vectors::rows("sessions"), vectors::rows("more_sessions")].concat();
        let with_json = rows.iter().filter(|row| row.get("json").is_some());
        let mut seen = 0;

        for row in with_json {
            assert_eq!(
                to_ascii(&row["data"]),
                vectors::text(row, "json"),
                "{}",
                row["name"]
            );
            seen += 1;
        }
        assert!(seen >= 12, "{seen}");
    }

    #[test]
    fn floats_turn_to_exponents_where_python_does() {
        for (value, written) in [
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (0.0001, "0.0001"),
            (0.000_099, "9.9e-05"),
            (-0.0, "-0.0"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(python_float(value), written);
        }
    }
}
