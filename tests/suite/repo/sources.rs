//! The sources as data: which file names which other one, and how long functions
//! are. Tests of the sources themselves are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, UseTree};

/// A module's path, its crate first: `["portcullis", "auth", "login"]`.
type Module = Vec<String>;

/// The files of some crates, by their path from the root of the repository.
pub struct Sources {
    pub files: BTreeMap<String, Source>,
    modules: BTreeMap<Module, String>,
}

pub struct Source {
    pub text: String,
    pub functions: Vec<Function>,
    /// All string literals.
    pub literals: Vec<String>,
    names: Vec<Name>,
}

pub struct Function {
    pub name: String,
    /// From the line with `fn` to that of its closing brace.
    pub lines: usize,
}

/// A path that stands somewhere in a file.
struct Name {
    /// The module that it stands in.
    module: Module,
    path: Vec<String>,
    /// What a `use` makes of it.
    alias: Option<String>,
}

/// One file needs another; by which names.
pub type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

impl Sources {
    /// What is in `src` and `crates`.
    pub fn read(root: &Path) -> Self {
        fn walk(folder: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, into);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    into.insert(name, std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        let mut texts = BTreeMap::new();
        walk(&root.join("src"), root, &mut texts);
        walk(&root.join("crates"), root, &mut texts);
        Self::of(&texts)
    }

    /// Follows `mod` from each `lib.rs` and `main.rs`.
    pub fn of(texts: &BTreeMap<String, String>) -> Self {
        let mut sources = Self {
            files: BTreeMap::new(),
            modules: BTreeMap::new(),
        };
        for file in texts.keys() {
            let Some((folder, root)) = file.rsplit_once('/') else {
                continue;
            };
            let name = match (folder.split('/').collect::<Vec<_>>().as_slice(), root) {
                (["src"], "lib.rs") => "portcullis".to_owned(),
                (["src"], "main.rs") => "main".to_owned(),
                (["crates", name, "src"], "lib.rs") => name.replace('-', "_"),
                _ => continue,
            };
            sources.add(texts, file, folder, vec![name]);
        }
        sources
    }

    /// A file, and those whose `mod` stands in it; they are in `folder`.
    fn add(&mut self, texts: &BTreeMap<String, String>, file: &str, folder: &str, module: Module) {
        let text = &texts[file];
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader {
            module: module.clone(),
            inline: vec![module],
            children: Vec::new(),
            source: Source {
                text: text.clone(),
                functions: Vec::new(),
                literals: Vec::new(),
                names: Vec::new(),
            },
        };
        reader.visit_file(&parsed);
        for module in reader.inline {
            self.modules.insert(module, file.to_owned());
        }
        self.files.insert(file.to_owned(), reader.source);
        let depth = reader.module.len();
        for child in reader.children {
            let path = format!("{folder}/{}", child[depth..].join("/"));
            let places = [format!("{path}.rs"), format!("{path}/mod.rs")];
            let place = places.iter().find(|place| texts.contains_key(*place));
            let place = place.unwrap_or_else(|| panic!("{file} declares {path}"));
            self.add(texts, place, &path, child);
        }
    }

    /// `mod x;` is none; each `use`, and each path to something of ours, is one.
    pub fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (file, source) in &self.files {
            let mut aliases: BTreeMap<(&[String], &str), Module> = BTreeMap::new();
            for name in &source.names {
                if let Some(alias) = &name.alias
                    && let Some(whole) = self.absolute(name, &BTreeMap::new())
                {
                    aliases.insert((&name.module, alias), whole);
                }
            }
            for name in &source.names {
                let Some(whole) = self.absolute(name, &aliases) else {
                    continue;
                };
                let to = (1..=whole.len()).rev();
                let to = to.filter_map(|length| self.modules.get(&whole[..length]));
                if let Some(to) = { to }.next().filter(|to| *to != file) {
                    let names = arrows.entry((file.clone(), to.clone())).or_default();
                    names.insert(name.path.join("::"));
                }
            }
        }
        arrows
    }

    /// The path from its crate on, if it leads to something of ours.
    fn absolute(
        &self,
        name: &Name,
        aliases: &BTreeMap<(&[String], &str), Module>,
    ) -> Option<Module> {
        let (first, rest) = name.path.split_first()?;
        let child = || [name.module.as_slice(), std::slice::from_ref(first)].concat();
        let mut base = match first.as_str() {
            "crate" => vec![name.module[0].clone()],
            "self" => name.module.clone(),
            "super" => name.module[..name.module.len() - 1].to_vec(),
            _ if self.modules.contains_key(&child()) => child(),
            alias => match aliases.get(&(name.module.as_slice(), alias)) {
                Some(whole) if !rest.is_empty() => whole.clone(),
                _ if self.modules.contains_key(&vec![first.clone()]) => vec![first.clone()],
                _ => return None,
            },
        };
        for segment in rest {
            if segment == "super" {
                base.pop();
            } else {
                base.push(segment.clone());
            }
        }
        Some(base)
    }
}

struct Reader {
    /// Where it is now.
    module: Module,
    /// The modules that are in this file.
    inline: Vec<Module>,
    /// Those that have a file of their own.
    children: Vec<Module>,
    source: Source,
}

impl Reader {
    fn name(&mut self, path: Vec<String>, alias: Option<String>) {
        self.source.names.push(Name {
            module: self.module.clone(),
            path,
            alias,
        });
    }

    fn names_of_use(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.names_of_use(&part.tree, path);
            }
            UseTree::Name(part) => {
                if part.ident != "self" {
                    path.push(part.ident.to_string());
                }
                let alias = path.last().cloned();
                self.name(path, alias);
            }
            UseTree::Rename(part) => {
                if part.ident != "self" {
                    path.push(part.ident.to_string());
                }
                self.name(path, Some(part.rename.to_string()));
            }
            UseTree::Glob(_) => self.name(path, None),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.names_of_use(tree, path.clone());
                }
            }
        }
    }

    /// Whatever looks like a path in what a macro is given, or gives.
    fn names_of_tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path_of_tokens(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.path_of_tokens(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.names_of_tokens(group.stream()),
                        TokenTree::Literal(literal) => self.literal(&literal.to_string()),
                        _ => {}
                    }
                }
            }
        }
        self.path_of_tokens(&mut path);
    }

    fn path_of_tokens(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.name(path, None);
        }
    }

    fn literal(&mut self, text: &str) {
        self.source.literals.push(text.to_owned());
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (
            signature.fn_token.span.start().line,
            block.brace_token.span.close().end().line,
        );
        self.source.functions.push(Function {
            name: signature.ident.to_string(),
            lines: last - first + 1,
        });
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let text = list.tokens.to_string();
                text == "test" || text.starts_with("all (test")
            })
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        if item.content.is_some() {
            self.inline.push(self.module.clone());
            visit::visit_item_mod(self, item);
        } else {
            self.children.push(self.module.clone());
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.names_of_use(&item.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let segments: Vec<String> = segments.map(|part| part.ident.to_string()).collect();
        if segments.len() > 1 && path.leading_colon.is_none() {
            self.name(segments, None);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.names_of_tokens(item.tokens.clone());
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.literal(&literal.value());
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    /// Neither documentation nor `pub(super)` calls anything.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

/// The shortest circles: through each file that is in one, told as
/// `a.rs -> b.rs by x::y`, a line each.
pub fn circles(arrows: &Arrows) -> Vec<String> {
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        after.entry(from).or_default().push(to);
    }
    let mut circles: BTreeMap<BTreeSet<&str>, String> = BTreeMap::new();
    for &start in after.keys() {
        if let Some(circle) = shortest_way_back(start, &after) {
            let steps = circle.iter().zip(circle.iter().cycle().skip(1));
            let told: Vec<String> = steps
                .map(|(from, to)| told(from, to, &arrows[&(from.to_string(), to.to_string())]))
                .collect();
            circles
                .entry(circle.iter().copied().collect())
                .or_insert_with(|| told.join("\n"));
        }
    }
    circles.into_values().collect()
}

/// The files of the shortest circle through this one, from it on.
fn shortest_way_back<'a>(
    start: &'a str,
    after: &BTreeMap<&'a str, Vec<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for &next in after.get(file).into_iter().flatten() {
            if next == start {
                let mut way = vec![file];
                while let Some(&before) = came_from.get(way[way.len() - 1]) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

/// From the top down: each may use those below it.
const LAYERS: [&str; 10] = [
    "main", "cli", "app", "routes", "handlers", "http", "auth", "models", "db", "crates",
];

/// `src/auth/login.rs` is in `auth`.
fn layer(file: &str) -> &str {
    let mut parts = file.split('/');
    match (parts.next(), parts.next()) {
        (Some("crates"), _) => "crates",
        // What puts the crate together, and the formats until they are a crate.
        (_, Some("lib.rs" | "main.rs")) => "main",
        (_, Some("django")) => "crates",
        (_, Some(name)) => name.trim_end_matches(".rs"),
        _ => panic!("{file} is in no layer"),
    }
}

fn may_use(from: &str, to: &str) -> bool {
    let rank = |name| LAYERS.iter().position(|layer| *layer == name);
    match (from, to) {
        _ if from == to => true,
        ("main" | "cli" | "app" | "telemetry", "settings") => true,
        ("main" | "cli" | "app", "telemetry") => true,
        ("models", "schema") => true,
        ("settings", "auth" | "models" | "db" | "crates") => true,
        _ => match (rank(from), rank(to)) {
            (Some(from), Some(to)) => from < to,
            _ => false,
        },
    }
}

/// The arrows that go up, or to where only others may go.
pub fn upward(arrows: &Arrows) -> Vec<String> {
    let wrong = arrows
        .iter()
        .filter(|((from, to), _)| !may_use(layer(from), layer(to)));
    wrong
        .map(|((from, to), names)| told(from, to, names))
        .collect()
}

/// The first names say enough.
fn told(from: &str, to: &str, names: &BTreeSet<String>) -> String {
    let first: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
    let more = if names.len() > 4 { ", …" } else { "" };
    format!("{from} -> {to} by {}{more}", first.join(", "))
}

// ---- of made-up sources ----------------------------------------------------------

fn made_up(files: &[(&str, &str)]) -> Arrows {
    let files = files.iter();
    let texts = files.map(|(name, text)| (format!("src/{name}"), (*text).to_owned()));
    Sources::of(&texts.collect()).arrows()
}

#[test]
fn a_circle_is_found_by_the_names_that_tie_it() {
    let arrows = made_up(&[
        ("lib.rs", "mod auth; mod http; mod db;"),
        (
            "auth.rs",
            "use crate::http::cookies::Name as N; fn f(_: N) {}",
        ),
        ("http.rs", "pub mod cookies; pub mod pages;"),
        (
            "http/cookies.rs",
            "pub struct Name; fn f() { super::pages::g() }",
        ),
        (
            "http/pages.rs",
            "pub fn g() { format!(\"{}\", crate::auth::LIMIT); }",
        ),
        ("db.rs", ""),
    ]);
    let circle = "src/auth.rs -> src/http/cookies.rs by crate::http::cookies::Name
src/http/cookies.rs -> src/http/pages.rs by super::pages::g
src/http/pages.rs -> src/auth.rs by crate::auth::LIMIT";
    assert_eq!(circles(&arrows), [circle]);
    assert_eq!(
        upward(&arrows),
        ["src/auth.rs -> src/http/cookies.rs by crate::http::cookies::Name"]
    );
}

#[test]
fn a_facade_and_a_child_that_imports_from_it_are_a_circle() {
    let facade = ("auth.rs", "mod keys; mod login; pub use keys::Key;");
    let circle = made_up(&[
        ("lib.rs", "pub mod auth;"),
        facade,
        ("auth/keys.rs", "pub struct Key; impl super::Auth {}"),
        ("auth/login.rs", "use super::{keys::Key, *};"),
    ]);
    assert_eq!(
        circles(&circle),
        [
            "src/auth.rs -> src/auth/keys.rs by keys::Key\nsrc/auth/keys.rs -> src/auth.rs by super::Auth"
        ]
    );
    let from_the_sibling = made_up(&[
        ("lib.rs", "pub mod auth;"),
        facade,
        ("auth/keys.rs", "pub struct Key; pub(super) fn f() {}"),
        (
            "auth/login.rs",
            "use super::keys::Key; use crate::auth::keys;
             fn f() { keys::f() } mod inner { use super::super::keys::Key; }",
        ),
    ]);
    assert_eq!(circles(&from_the_sibling), [""; 0]);
    assert_eq!(from_the_sibling.len(), 2, "{from_the_sibling:?}");
}

#[test]
fn paths_are_followed_through_imports_and_macros_and_not_into_tests() {
    let arrows = made_up(&[
        ("lib.rs", "#[macro_use] mod db; mod models; mod cli;"),
        (
            "db.rs",
            "pub mod pool; macro_rules! on { () => { $crate::db::pool::get() } }",
        ),
        ("db/pool.rs", "pub fn get() {}"),
        ("models.rs", "pub mod user; pub mod token;"),
        (
            "models/user.rs",
            "use crate::db::{self}; fn f() { db::pool::get(); on!(crate::models::token::X) }
             #[cfg(test)] use crate::cli; #[cfg(test)] mod tests { use crate::cli::run; }",
        ),
        ("models/token.rs", "pub const X: &str = \"a_table\";"),
        ("cli.rs", "pub fn run() {}"),
    ]);
    let found: Vec<String> = arrows
        .keys()
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect();
    assert_eq!(
        found,
        [
            "src/db.rs -> src/db/pool.rs",
            "src/models/user.rs -> src/db.rs",
            "src/models/user.rs -> src/db/pool.rs",
            "src/models/user.rs -> src/models/token.rs",
        ]
    );
}

#[test]
fn a_crate_is_below_all_and_settings_are_for_few() {
    let texts = [
        ("src/main.rs", "fn main() { portcullis::cli::run() }"),
        ("src/lib.rs", "pub mod cli; pub mod auth; pub mod settings;"),
        ("src/cli.rs", "use crate::settings::Settings;"),
        (
            "src/auth.rs",
            "use a_format::csrf::mask; use crate::settings::Settings;",
        ),
        ("src/settings.rs", "use crate::auth::Auth;"),
        ("crates/a-format/src/lib.rs", "pub mod csrf;"),
        ("crates/a-format/src/csrf.rs", "pub fn mask() {}"),
    ];
    let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let arrows = Sources::of(&texts.into()).arrows();
    assert!(arrows.contains_key(&("src/main.rs".to_owned(), "src/cli.rs".to_owned())));
    let formats = "crates/a-format/src/csrf.rs".to_owned();
    assert!(arrows.contains_key(&("src/auth.rs".to_owned(), formats)));
    assert_eq!(
        upward(&arrows),
        ["src/auth.rs -> src/settings.rs by crate::settings::Settings"]
    );
}

#[test]
fn functions_are_measured_to_their_last_brace() {
    let text = "struct S;\nimpl S {\n    /// Says.\n    fn f(\n        a: u8,\n    ) {\n        a;\n    }\n}\nfn g() {}\n#[cfg(test)]\nmod tests {\n    fn h() {}\n}\n";
    let texts = [("src/lib.rs".to_owned(), text.to_owned())];
    let sources = Sources::of(&texts.into());
    let functions = &sources.files["src/lib.rs"].functions;
    let found: Vec<(&str, usize)> = functions
        .iter()
        .map(|function| (function.name.as_str(), function.lines))
        .collect();
    assert_eq!(found, [("f", 5), ("g", 1)]);
}
