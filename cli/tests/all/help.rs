//! The help text of every command, as it is printed: a change of it is seen in review.

use crate::support::{Ran, command, snapshot};

fn help(words: &[&str]) -> String {
    let ran: Ran = command("", &[words, &["--help"]].concat()).output().unwrap().into();
    ran.succeeds().text()
}

/// The names below `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names =
        below.take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn each_help_text_is_the_one_that_is_kept() {
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    let mut count = 0;
    while let Some(words) = waiting.pop() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = help(&words);
        assert!(text.contains("Usage: klstore"), "{words:?}");
        let name = ["klstore"].iter().chain(&words).copied().collect::<Vec<_>>().join("-");
        snapshot(&format!("help/{name}.txt"), &text, &[]);
        let below = commands(&text);
        waiting.extend(below.into_iter().map(|name| words.iter().map(|word| word.to_string()).chain([name]).collect()));
        count += 1;
    }
    // klstore itself, its commands, and those of keyspace, key and config.
    assert!(count > 22, "{count}");
}

#[test]
fn the_short_help_is_kept_too() {
    let ran: Ran = command("", &["-h"]).output().unwrap().into();
    snapshot("help/klstore-short.txt", &ran.succeeds().text(), &[]);
    let mut alone = command("", &[]);
    let ran: Ran = alone.env_remove("KLSTORE_ENDPOINT").env_remove("KLSTORE_BUCKET").output().unwrap().into();
    assert_eq!((ran.code, ran.text().as_str()), (Some(2), ""));
    snapshot("help/klstore-short.txt", &ran.err, &[]);
}
