//! `zkops man`: manual pages made of the same definition that `--help` shows.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;
use serde::Serialize;

use super::env::Env;
use super::opts::{Man, Opts};
use crate::report::{Exit, Failure};

#[derive(Serialize)]
#[serde(tag = "event", rename = "man")]
struct Document {
    /// Files written; empty: it stands in `text`.
    files: Vec<String>,
    text: Option<String>,
}

pub(super) fn run(opts: &Man, env: &Env) -> Result<Exit, Failure> {
    let mut program = Opts::command();
    program.build();
    let Some(dir) = &opts.out else {
        let text = page(program)?;
        env.report.text(&text);
        env.report.value(&Document { files: Vec::new(), text: Some(text) });
        return Ok(Exit::Done);
    };
    let failed = |path: &Path, why: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {why}", path.display()))
    };
    std::fs::create_dir_all(dir).map_err(|why| failed(dir, why))?;
    let verbs: Vec<Command> = program
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
        .map(|verb| {
            let verb = verb.clone().name(format!("zkops-{}", verb.get_name()));
            // Where arguments are not ours, our options are none.
            let apache = verb.get_name() == "zkops-server" || verb.get_name() == "zkops-cli";
            verb.mut_args(|arg| arg.hide(apache))
        })
        .collect();
    // Second verbs have pages of their own, which the first one's names.
    let below = verbs.iter().flat_map(|verb| {
        let own = verb.get_subcommands().filter(|below| below.get_name() != "help");
        own.map(|below| below.clone().name(format!("{}-{}", verb.get_name(), below.get_name())))
    });
    let below = below.collect::<Vec<Command>>();
    let mut files = Vec::new();
    for command in [program].into_iter().chain(verbs).chain(below) {
        let path = dir.join(format!("{}.1", command.get_name()));
        std::fs::write(&path, page(command)?).map_err(|why| failed(&path, why))?;
        files.push(path.display().to_string());
    }
    env.report.text(&format!("{} pages in {}: man zkops, man zkops-deploy …\n", files.len(), dir.display()));
    env.report.value(&Document { files, text: None });
    Ok(Exit::Done)
}

fn page(command: Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    let rendered = Page::new(command).render(&mut page);
    rendered.map_err(|why| Failure::new(Exit::Failed, format!("no page: {why}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
