//! The table that a run prints.

use std::collections::BTreeMap;
use std::fmt;

use crate::case::{Case, CaseFile, Reference, ranges};
use crate::judge::Outcome;

/// One for each Django.
type Each<T> = [T; Reference::ALL.len()];

pub struct Report<'a> {
    backend: &'static str,
    file: &'a CaseFile,
    sections: Vec<Section<'a>>,
    /// Numbers of the cases, by reason, in the order of the first of each.
    reasons: BTreeMap<usize, (&'a str, Each<Vec<usize>>)>,
    wrong: Vec<(&'a Case, Reference, Vec<String>)>,
}

#[derive(Default)]
struct Section<'a> {
    name: &'a str,
    cases: usize,
    counts: Each<Counts>,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    same: usize,
    different: usize,
    wrong: usize,
}

impl<'a> Report<'a> {
    /// Cases of the file that are not added are said to be missing.
    pub fn new(backend: &'static str, file: &'a CaseFile) -> Self {
        Self {
            backend,
            file,
            sections: Vec::new(),
            reasons: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub fn add(&mut self, case: &'a Case, outcomes: Each<Outcome<'a>>) {
        if self
            .sections
            .last()
            .is_none_or(|last| last.name != case.section)
        {
            self.sections.push(Section {
                name: &case.section,
                ..Section::default()
            });
        }
        let section = self.sections.last_mut().expect("a section");
        section.cases += 1;
        for ((i, django), outcome) in Reference::ALL.into_iter().enumerate().zip(outcomes) {
            let counts = &mut section.counts[i];
            match outcome {
                Outcome::Same => counts.same += 1,
                Outcome::Different(reason) => {
                    counts.different += 1;
                    let known = self
                        .reasons
                        .values_mut()
                        .find(|(known, _)| *known == reason);
                    match known {
                        Some((_, cases)) => cases[i].push(case.n),
                        None => {
                            let mut cases: Each<Vec<usize>> = Each::default();
                            cases[i].push(case.n);
                            self.reasons.insert(case.n, (reason, cases));
                        }
                    }
                }
                Outcome::Wrong(complaints) => {
                    counts.wrong += 1;
                    self.wrong.push((case, django, complaints));
                }
            }
        }
    }

    pub fn assert_good(&self) {
        assert!(!self.sections.is_empty(), "nothing was sent");
        let mut wrong: Vec<usize> = self.wrong.iter().map(|(case, ..)| case.n).collect();
        wrong.dedup();
        assert!(wrong.is_empty(), "wrong: {}", ranges(&wrong));
    }

    fn all(&self) -> Section<'a> {
        let mut all = Section {
            name: "all",
            ..Section::default()
        };
        for section in &self.sections {
            all.cases += section.cases;
            for (sum, counts) in all.counts.iter_mut().zip(section.counts) {
                sum.same += counts.same;
                sum.different += counts.different;
                sum.wrong += counts.wrong;
            }
        }
        all
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = 48;
        writeln!(f, "\nDjango's wire on {}\n", self.backend)?;
        for (django, versions) in Reference::ALL.iter().zip(&self.file.recorded) {
            writeln!(f, "{}: {versions}", django.name())?;
        }
        write!(f, "\n{:width$} {:>6}", "section", "cases")?;
        for django in Reference::ALL {
            let name = django.name();
            write!(f, " | {name} same {:>12} {:>6}", "on purpose", "wrong")?;
        }
        let all = self.all();
        for section in self.sections.iter().chain([&all]) {
            write!(f, "\n{:width$} {:>6}", section.name, section.cases)?;
            for counts in section.counts {
                let Counts {
                    same,
                    different,
                    wrong,
                } = counts;
                write!(f, " | {same:>8} {different:>12} {wrong:>6}")?;
            }
        }
        let captured = self.file.cases.len();
        writeln!(f, "\n\nSent {} of the {captured} requests.", all.cases)?;
        let changed = ranges(&self.file.changed());
        writeln!(f, "Django 6.1 answers {changed} differently from 5.2.")?;
        writeln!(f, "\nDifferent on purpose:")?;
        for (reason, cases) in self.reasons.values() {
            let [old, new] = cases.each_ref().map(|cases| ranges(cases));
            write!(f, "- {reason}: ")?;
            match (old.is_empty(), new.is_empty()) {
                _ if old == new => writeln!(f, "{old}")?,
                (true, _) => writeln!(f, "{new}, from 6.1 only")?,
                (_, true) => writeln!(f, "{old}, from 5.2 only")?,
                _ => writeln!(f, "{old} from 5.2, {new} from 6.1")?,
            }
        }
        for (case, django, complaints) in &self.wrong {
            let (n, section, name) = (case.n, &case.section, &case.name);
            writeln!(f, "\nWRONG #{n} {section}: {name} ({})", django.name())?;
            for complaint in complaints {
                writeln!(f, "    {complaint}")?;
            }
        }
        writeln!(f)
    }
}
