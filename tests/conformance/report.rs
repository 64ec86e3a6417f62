//! The table that a run prints.

use std::collections::BTreeMap;
use std::fmt;

use crate::case::{Case, ranges};
use crate::judge::Outcome;

pub struct Report<'a> {
    backend: &'static str,
    all: usize,
    sections: Vec<Section<'a>>,
    /// Numbers of the cases, by reason, in the order of the first of each.
    reasons: BTreeMap<usize, (&'a str, Vec<usize>)>,
    wrong: Vec<(&'a Case, Vec<String>)>,
}

struct Section<'a> {
    name: &'a str,
    same: usize,
    different: usize,
    wrong: usize,
}

impl Section<'_> {
    fn cases(&self) -> usize {
        self.same + self.different + self.wrong
    }
}

impl<'a> Report<'a> {
    /// `all` is how many cases there are; those that were not added are said
    /// to be missing.
    pub fn new(backend: &'static str, all: usize) -> Self {
        Self {
            backend,
            all,
            sections: Vec::new(),
            reasons: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub fn add(&mut self, case: &'a Case, outcome: Outcome<'a>) {
        if self
            .sections
            .last()
            .is_none_or(|last| last.name != case.section)
        {
            self.sections.push(Section {
                name: &case.section,
                same: 0,
                different: 0,
                wrong: 0,
            });
        }
        let section = self.sections.last_mut().expect("a section");
        match outcome {
            Outcome::Same => section.same += 1,
            Outcome::Different(reason) => {
                section.different += 1;
                let known = self
                    .reasons
                    .values_mut()
                    .find(|(known, _)| *known == reason);
                match known {
                    Some((_, cases)) => cases.push(case.n),
                    None => drop(self.reasons.insert(case.n, (reason, vec![case.n]))),
                }
            }
            Outcome::Wrong(complaints) => {
                section.wrong += 1;
                self.wrong.push((case, complaints));
            }
        }
    }

    pub fn assert_good(&self) {
        assert!(!self.sections.is_empty(), "nothing was sent");
        let wrong: Vec<usize> = self.wrong.iter().map(|(case, _)| case.n).collect();
        assert!(wrong.is_empty(), "wrong: {}", ranges(&wrong));
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = 48;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, numbers: [usize; 4]| {
            let [cases, same, different, wrong] = numbers;
            writeln!(
                f,
                "{name:width$} {cases:>6} {same:>6} {different:>12} {wrong:>6}"
            )
        };
        writeln!(f, "\nDjango's wire on {}\n", self.backend)?;
        writeln!(
            f,
            "{:width$} {:>6} {:>6} {:>12} {:>6}",
            "section", "cases", "same", "on purpose", "wrong"
        )?;
        for s in &self.sections {
            line(f, s.name, [s.cases(), s.same, s.different, s.wrong])?;
        }
        let sum = |count: fn(&Section<'_>) -> usize| self.sections.iter().map(count).sum();
        let replayed: usize = sum(|s| s.cases());
        let [same, different] = [sum(|s| s.same), sum(|s| s.different)];
        line(f, "all", [replayed, same, different, self.wrong.len()])?;
        writeln!(
            f,
            "\nSent {replayed} of the {} captured requests.",
            self.all
        )?;
        writeln!(f, "\nDifferent on purpose:")?;
        for (reason, cases) in self.reasons.values() {
            writeln!(f, "- {reason}: {}", ranges(cases))?;
        }
        for (case, complaints) in &self.wrong {
            writeln!(f, "\nWRONG #{} {}: {}", case.n, case.section, case.name)?;
            for complaint in complaints {
                writeln!(f, "    {complaint}")?;
            }
        }
        writeln!(f)
    }
}
