//! What a session holds: names and values, each as the JSON text that somebody wrote.
//!
//! The texts are kept as they are, so that a session which is written again is to the
//! byte what it was: `NaN`, numbers of any length and halves of surrogate pairs too,
//! which Python writes and reads, and which are no JSON.

use indexmap::IndexMap;
use serde_json::Value;

use crate::json;

/// The entries of a session, in the order of writing. Names are as JSON escapes them,
/// which those of Django and of any program with ASCII names need not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionData(IndexMap<String, String>);

/// Brackets in brackets. Python gives up at about a thousand.
const MAX_DEPTH: usize = 500;

impl SessionData {
    /// A session without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a JSON object as Python's `json.loads` does; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scanner = Scanner { text, at: 0 };
        let mut entries = IndexMap::new();
        scanner.space();
        scanner.take(b'{')?;
        scanner.space();
        if scanner.take(b'}').is_none() {
            loop {
                let name = scanner.name()?;
                let value = scanner.value()?;
                entries.insert(name.to_owned(), value.to_owned());
                scanner.space();
                if scanner.take(b'}').is_some() {
                    break;
                }
                scanner.take(b',')?;
                scanner.space();
            }
        }
        scanner.space();
        (scanner.at == text.len()).then_some(Self(entries))
    }

    /// The JSON object, without spaces.
    pub fn to_json(&self) -> String {
        let mut text = "{".to_owned();
        for (name, value) in &self.0 {
            if text.len() > 1 {
                text.push(',');
            }
            for part in ["\"", name, "\":", value] {
                text.push_str(part);
            }
        }
        text.push('}');
        text
    }

    /// The value of that name, if it has one that is JSON.
    pub fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.get_json(name)?).ok()
    }

    /// The JSON text of the value of that name.
    pub fn get_json(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether there is an entry of that name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sets an entry, whose name needs no escapes. Where there is one of that name, it
    /// keeps its place.
    pub fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.insert_json(name.to_owned(), json::to_ascii(&value.into()));
    }

    /// The same with the JSON texts of both.
    pub fn insert_json(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    /// Removes an entry.
    pub fn remove(&mut self, name: &str) {
        self.0.shift_remove(name);
    }

    /// Names and values, as JSON texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How much memory the texts take.
    pub fn bytes(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}

/// From values, with any names.
impl FromIterator<(String, Value)> for SessionData {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        let escaped = |name: String| {
            let quoted = json::to_ascii(&Value::String(name));
            quoted
                .trim_start_matches('"')
                .strip_suffix('"')
                .unwrap_or_default()
                .to_owned()
        };
        let entries = entries.into_iter();
        Self(
            entries
                .map(|(name, value)| (escaped(name), json::to_ascii(&value)))
                .collect(),
        )
    }
}

/// Reads what Python's `json` reads. No recursion, so no depth ends the stack.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A name and its colon; what stands between the quotes.
    fn name(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.string()?;
        let name = self.text.get(start + 1..self.at - 1);
        self.space();
        self.take(b':')?;
        self.space();
        name
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at + 1..self.at + 5)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                            self.at += 5;
                        }
                        _ => return None,
                    }
                }
                ..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Any value, with all that is in it.
    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek()? {
                b'{' if open.len() < MAX_DEPTH => {
                    self.at += 1;
                    self.space();
                    open.push(b'}');
                    if self.peek()? != b'}' {
                        self.name()?;
                        continue;
                    }
                }
                b'[' if open.len() < MAX_DEPTH => {
                    self.at += 1;
                    self.space();
                    open.push(b']');
                    if self.peek()? != b']' {
                        continue;
                    }
                }
                b'"' => self.string()?,
                _ => self.word()?,
            }
            if !self.close(&mut open)? {
                return self.text.get(start..self.at);
            }
        }
    }

    /// After a value: ends what ends here; whether another value follows.
    fn close(&mut self, open: &mut Vec<u8>) -> Option<bool> {
        while let Some(end) = open.last().copied() {
            self.space();
            if self.take(end).is_some() {
                open.pop();
                continue;
            }
            self.take(b',')?;
            self.space();
            if end == b'}' {
                self.name()?;
            }
            return Some(true);
        }
        Some(false)
    }

    /// A number, or one of the words.
    fn word(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let words = ["true", "false", "null", "NaN", "Infinity", "-Infinity"];
        let word = words.into_iter().find(|word| rest.starts_with(word));
        self.at += word.map(str::len).or_else(|| number(rest.as_bytes()))?;
        Some(())
    }
}

/// The length of the number that a text begins with.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let is = |at: usize, bytes: &[u8]| text.get(at).is_some_and(|byte| bytes.contains(byte));
    let start = usize::from(is(0, b"-"));
    let mut end = if is(start, b"0") {
        start + 1
    } else {
        digits(start)
    };
    if end == start {
        return None;
    }
    if is(end, b".") && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if is(end, b"eE") {
        let power = end + 1 + usize::from(is(end + 1, b"+-"));
        if digits(power) > power {
            end = digits(power);
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_python_writes_stays_as_it_is() {
        for text in [
            "{}",
            r#"{"a":NaN,"b":[Infinity,-Infinity],"c":"\ud83d","\udc00":1}"#,
            r#"{"long":123456789012345678901234567890,"float":1e+16,"none":null}"#,
            r#"{"nested":{"a":[1,{"b":[]},{}]},"text":"\"\\\/\b\f\n\r\t\u00e9"}"#,
            "{\"utf8\":\"é\"}",
        ] {
            let data = SessionData::parse(text).expect(text);
            assert_eq!(data.to_json(), text);
        }
        let spaced = SessionData::parse(" { \"a\" : [ 1 , { \"b\" : 2 } ] , \"c\" : -0.5e-3 } ");
        assert_eq!(
            spaced.unwrap().to_json(),
            "{\"a\":[ 1 , { \"b\" : 2 } ],\"c\":-0.5e-3}"
        );
        let twice = SessionData::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(twice.to_json(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn what_python_does_not_read_is_no_session() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":+1}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":[1,]}",
            "{\"a\":[1}",
            "{\"a\":{\"b\":1]}",
            "{\"a\":nan}",
            "{\"a\":'b'}",
            "{\"a\" 1}",
            "{,}",
            &deep,
        ] {
            assert_eq!(SessionData::parse(text), None, "{text:.40}");
        }
    }

    #[test]
    fn entries_are_set_read_and_removed() {
        let mut data = SessionData::parse(r#"{"a":1,"b":"x"}"#).unwrap();
        data.insert("a", "é");
        data.insert("c", 7);
        data.remove("b");
        data.remove("none");
        assert_eq!(data.to_json(), r#"{"a":"\u00e9","c":7}"#);
        assert_eq!(data.get("a"), Some(Value::from("é")));
        assert_eq!((data.get("b"), data.contains_key("b")), (None, false));
        let odd = SessionData::parse(r#"{"a":NaN,"b":"\ud83d"}"#).unwrap();
        assert_eq!((odd.get("a"), odd.get("b")), (None, None));
        assert!(odd.contains_key("a"));
        let named = SessionData::from_iter([("\"é".to_owned(), Value::from(1))]);
        assert_eq!(named.to_json(), r#"{"\"\u00e9":1}"#);
    }

    proptest! {
        #[test]
        fn all_json_objects_are_read(object in any::<Vec<(String, f64)>>()) {
            let values = object.into_iter().map(|(name, value)| (name, Value::from(value)));
            let object = Value::Object(values.collect());
            for text in [object.to_string(), serde_json::to_string_pretty(&object).unwrap()] {
                let data = SessionData::parse(&text).unwrap();
                let again: Value = serde_json::from_str(&data.to_json()).unwrap();
                prop_assert_eq!(&again, &object);
            }
        }

        #[test]
        fn whatever_serde_reads_as_an_object_is_read(text in "[{}\\[\\]\",:0-9eE.\\-+ntrufals\\\\ ]{0,24}") {
            let object = format!("{{\"a\":{text}}}");
            if serde_json::from_str::<serde_json::Map<String, Value>>(&object).is_ok() {
                prop_assert!(SessionData::parse(&object).is_some(), "{}", object);
            }
        }
    }
}
