//! The page: headline, contents, what was not measured, figures, tables, pictures, environment.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::comparison::{self, Member};
use super::{ReportError, SUMMARY, Study, environment, figure, specimen, table};
use crate::plot;

/// A part of the page, as the contents list it.
struct Part {
    id: String,
    heading: String,
    entries: Vec<Entry>,
}

/// A table, a figure or the pictures.
struct Entry {
    id: String,
    title: String,
    body: Markup,
}

/// The page on `studies`.
///
/// # Errors
/// When a figure or a picture cannot be drawn.
pub fn page(studies: &[Study]) -> Result<Markup, ReportError> {
    let members = comparison::members(studies);
    let groups = comparison::groups(&members);
    let mut parts = Vec::new();
    for group in &groups {
        parts.extend(parts_of(group, groups.len() > 1)?);
    }
    let headline = headline(&members);
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (headline) " · offramp report" }
                style { (PreEscaped(include_str!("style.css"))) (PreEscaped(plot::rules())) }
            }
            body {
                header {
                    p.kicker { "offramp report" }
                    h1 { (headline) }
                }
                div.columns {
                    (contents(&parts))
                    main {
                        (summary(&members))
                        (not_measured(&members))
                        @for part in &parts { (section(part)) }
                        (environment::environment(&members))
                    }
                }
            }
        }
    })
}

fn headline(members: &[Member<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for network in members.iter().flat_map(|one| &one.study.stored.provenance.networks) {
        if !names.contains(&network.name.as_str()) {
            names.push(&network.name);
        }
    }
    if names.is_empty() { "A study of no network".into() } else { names.join(", ") }
}

fn contents(parts: &[Part]) -> Markup {
    html! {
        nav aria-label="Contents" {
            details open {
                summary { "Contents" }
                ul {
                    li { a href="#summary" { "Summary" } }
                    li { a href="#not-measured" { "Not measured" } }
                    @for part in parts {
                        li {
                            a href={ "#" (part.id) } { (part.heading) }
                            @if part.entries.len() > 1 {
                                ul { @for entry in &part.entries {
                                    li { a href={ "#" (entry.id) } { (entry.title) } }
                                } }
                            }
                        }
                    }
                    li { a href="#environment" { "Environment" } }
                }
            }
        }
    }
}

fn summary(members: &[Member<'_>]) -> Markup {
    let several = members.len() > 1;
    html! {
        section #summary {
            h2 { "Summary" }
            @for warning in comparison::warnings(members) { p.warning role="note" { (warning) } }
            @for member in members {
                @let provenance = &member.study.stored.provenance;
                @let findings = &member.study.stored.findings;
                @if several { h3 { (member.letter()) ": " (member.networks()) } }
                dl.facts {
                    @if several { div { dt { "Folder" } dd { (member.study.folder) } } }
                    @else { div { dt { "Networks" } dd { (member.networks()) } } }
                    div { dt { "Data" } dd { (provenance.data) } }
                    div { dt { "Backend" } dd {
                        (provenance.backend.name) " " (provenance.backend.version) ", " (provenance.backend.provider)
                    } }
                    div { dt { "Machine" } dd { (provenance.machine) } }
                    div { dt { "Seed" } dd { (provenance.seed) } }
                    div { dt { "Here" } dd {
                        (counted(findings.figures.len(), "figure")) ", "
                        (counted(findings.tables.len(), "table")) ", "
                        (counted(findings.specimens.len(), "picture"))
                    } }
                }
                @for first in findings.tables.iter().filter(|table| table.name == SUMMARY) {
                    div.entry {
                        h3 { (first.title) }
                        p.caption { (first.caption) }
                        (table::table(first))
                    }
                }
            }
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn not_measured(members: &[Member<'_>]) -> Markup {
    html! {
        section #not-measured {
            h2 { "Not measured" }
            @for member in members {
                @let missing = &member.study.stored.provenance.not_measured;
                @if members.len() > 1 { h3 { (member.letter()) } }
                @if missing.is_empty() { p { "Everything that the study asks for was measured." } }
                @else {
                    dl.missing {
                        @for one in missing { div { dt { (one.what) } dd { (one.why) } } }
                    }
                }
            }
        }
    }
}

fn section(part: &Part) -> Markup {
    html! {
        section #(part.id) {
            h2 { (part.heading) }
            @for entry in &part.entries {
                article.entry #(entry.id) {
                    h3 { (entry.title) }
                    (entry.body)
                }
            }
        }
    }
}

/// Figures, tables and pictures of studies that may stand side by side.
fn parts_of(group: &[Member<'_>], apart: bool) -> Result<Vec<Part>, ReportError> {
    let prefix = group.first().filter(|_| apart);
    let id = |what: &str| prefix.map_or(what.to_owned(), |one| format!("{}{what}", one.id()));
    let heading = |what: &str| prefix.map_or(what.to_owned(), |one| format!("{}: {what}", one.letter()));
    let mut parts = Vec::new();

    let named =
        |one: &Member<'_>| one.study.stored.findings.figures.iter().map(|one| one.name.clone()).collect();
    let mut entries = Vec::new();
    for name in union(group, named) {
        let mut sides = Vec::new();
        for member in group {
            let found = member.study.stored.findings.figures.iter().find(|figure| figure.name == name);
            if let Some(found) = found {
                let drawn = figure::figure(found, &format!("{}{name}", member.id()))?;
                sides.push(Side {
                    member: *member,
                    title: &found.title,
                    caption: &found.caption,
                    body: drawn,
                });
            }
        }
        entries.extend(entry(format!("{}-{name}", id("figure")), group.len(), sides));
    }
    parts.push(Part { id: id("figures"), heading: heading("Figures"), entries });

    let named = |one: &Member<'_>| {
        let tables = one.study.stored.findings.tables.iter().filter(|table| table.name != SUMMARY);
        tables.map(|table| table.name.clone()).collect()
    };
    let mut entries = Vec::new();
    for name in union(group, named) {
        let mut sides = Vec::new();
        for member in group {
            let found = member.study.stored.findings.tables.iter().find(|table| table.name == name);
            if let Some(found) = found {
                let body = table::table(found);
                sides.push(Side { member: *member, title: &found.title, caption: &found.caption, body });
            }
        }
        entries.extend(entry(format!("{}-{name}", id("table")), group.len(), sides));
    }
    parts.push(Part { id: id("tables"), heading: heading("Tables"), entries });

    let mut sides = Vec::new();
    for member in group.iter().filter(|one| !one.study.stored.findings.specimens.is_empty()) {
        let body = specimen::grid(&member.study.stored.findings.specimens)?;
        sides.push(Side {
            member: *member,
            title: "Images before and after",
            caption: "The difference is amplified about a middle grey by the factor that is written below it. Exits \
                      and labels are those of the original and of the stored image.",
            body,
        });
    }
    let entries = entry(id("images"), group.len(), sides).into_iter().collect();
    parts.push(Part { id: id("pictures"), heading: heading("Pictures"), entries });
    parts.retain(|part| !part.entries.is_empty());
    Ok(parts)
}

/// What one study has to say on a finding.
struct Side<'a> {
    member: Member<'a>,
    title: &'a str,
    caption: &'a str,
    body: Markup,
}

/// One finding, of one study or of several beside each other; nothing where no study has it.
fn entry(id: String, studies: usize, sides: Vec<Side<'_>>) -> Option<Entry> {
    let first = sides.first()?;
    let (title, caption) = (first.title.to_owned(), first.caption);
    let shared = sides.iter().all(|side| side.caption == caption);
    let body = html! {
        @if shared { p.caption { (caption) } }
        @if studies > 1 {
            div.beside {
                @for side in &sides {
                    div {
                        p.side { strong { (side.member.letter()) } " " (side.member.study.folder) }
                        @if !shared { p.caption { (side.caption) } }
                        (side.body)
                    }
                }
            }
        } @else {
            @for side in &sides { (side.body) }
        }
    };
    Some(Entry { id, title, body })
}

/// The names that any study has, in the order of the first that has them.
fn union(group: &[Member<'_>], of: impl Fn(&Member<'_>) -> Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in group.iter().flat_map(of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
