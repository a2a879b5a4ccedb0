//! Operators that ONNX Runtime lacks, read from what it says.

/// Operator and node name, if `message` says that an operator is missing.
pub(super) fn missing(message: &str) -> Option<(String, String)> {
    no_kernel(message).or_else(|| not_registered(message)).or_else(|| unknown(message))
}

/// `Could not find an implementation for Foo(1) node with name 'x'`, from every version.
fn no_kernel(message: &str) -> Option<(String, String)> {
    let rest = after(message, "Could not find an implementation for ")
        .or_else(|| after(message, "Failed to find kernel for "))?;
    let op = rest.split(['(', ' ']).next()?;
    let node = between(rest, "name '", "'").or_else(|| between(rest, "node:'", "'"));
    Some((op.to_owned(), node.unwrap_or_default().to_owned()))
}

/// `In Node, ("x", Foo, "", -1) : ... , Error No Op registered for Foo with domain_version of 17`.
fn not_registered(message: &str) -> Option<(String, String)> {
    let op = after(message, "No Op registered for ")?.split(' ').next()?;
    Some((op.to_owned(), between(message, "In Node, (\"", "\"").unwrap_or_default().to_owned()))
}

/// `Fatal error: my.domain:Foo(-1) is not a registered function/op`.
fn unknown(message: &str) -> Option<(String, String)> {
    let (before, _) = message.split_once(" is not a registered function/op")?;
    let op = before.rsplit(' ').next()?;
    let op = op.split('(').next().unwrap_or(op);
    Some((op.trim_start_matches("ai.onnx:").to_owned(), String::new()))
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    after(text, open)?.split_once(close).map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_read_from_every_form_of_the_message() {
        let pairs = [
            ("Could not find an implementation for Foo(1) node with name 'x'", ("Foo", "x")),
            ("Failed to find kernel for Foo(13) (node:'x' ep:'CPUExecutionProvider').", ("Foo", "x")),
            (
                "In Node, (\"x\", Foo, \"\", -1) : () -> () , Error No Op registered for Foo with domain_version of 17",
                ("Foo", "x"),
            ),
            ("Fatal error: my.domain:Foo(-1) is not a registered function/op", ("my.domain:Foo", "")),
        ];
        for (message, (op, node)) in pairs {
            assert_eq!(missing(message), Some((op.to_owned(), node.to_owned())), "{message}");
        }
        assert_eq!(missing("invalid protobuf"), None);
    }
}
