//! What studies were made of, one column each.

use maud::{Markup, html};

use super::comparison::Member;

/// A line of the environment: its name and one value per study.
struct Line {
    name: &'static str,
    /// Whether readers want to know that studies differ in it.
    telling: bool,
    values: Vec<Vec<String>>,
    code: bool,
}

/// The environments of `members`, side by side; lines in which they differ say so.
pub fn environment(members: &[Member<'_>]) -> Markup {
    let several = members.len() > 1;
    html! {
        section #environment {
            h2 { "Environment" }
            div.scroll tabindex="0" role="region" aria-label="Environment" {
                table.environment {
                    @if several {
                        thead { tr {
                            th scope="col" { "Study" }
                            @for member in members { th scope="col" { (member.letter()) } }
                        } }
                    }
                    tbody {
                        @for line in lines(members) {
                            tr {
                                th scope="row" {
                                    (line.name)
                                    @if several && line.telling && line.values.windows(2).any(|pair| pair[0] != pair[1]) {
                                        " " span.tag { "differs" }
                                    }
                                }
                                @for value in &line.values {
                                    td { @for part in value {
                                        div { @if line.code { code { (part) } } @else { (part) } }
                                    } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A path that may break after each folder.
pub fn path(path: &str) -> Markup {
    html! { @for part in path.split_inclusive('/') { (part) wbr; } }
}

fn lines(members: &[Member<'_>]) -> Vec<Line> {
    let line = |name, code, of: &dyn Fn(&Member<'_>) -> Vec<String>| Line {
        name,
        telling: name != "Folder",
        values: members.iter().map(of).collect(),
        code,
    };
    let of = |member: &Member<'_>| member.study.stored.provenance.clone();
    vec![
        line("Folder", false, &|one| vec![one.study.folder.clone()]),
        line("Program", false, &|one| vec![of(one).producer]),
        line("Machine", false, &|one| vec![of(one).machine]),
        line("Backend", false, &|one| vec![format!("{} {}", of(one).backend.name, of(one).backend.version)]),
        line("Provider", false, &|one| vec![of(one).backend.provider]),
        line("Threads per operator", false, &|one| {
            vec![of(one).threads.map_or("the backend's own choice".into(), |threads| threads.to_string())]
        }),
        line("Data", false, &|one| vec![of(one).data]),
        line("SHA-256 of the data", true, &|one| vec![of(one).data_sha256.to_string()]),
        line("Seed", false, &|one| vec![of(one).seed.to_string()]),
        line("Networks", false, &|one| of(one).networks.into_iter().map(|network| network.name).collect()),
        line("Identities of the networks", true, &|one| {
            of(one).networks.iter().map(|network| network.identity.to_string()).collect()
        }),
    ]
}
