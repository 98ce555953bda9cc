//! `zkops init`: the words of the command line, or a few questions, into a file.

use std::path::{Path, PathBuf};

use dialoguer::{Confirm, Input};

use super::env::Env;
use super::opts::Init;
use super::prompt::someone_is_there;
use crate::operator::operate::init::{self, Drafted, HostWord, Ports, Wanted};
use crate::report::{Exit, Failure};

pub(super) fn run(opts: &Init, env: &Env) -> Result<Exit, Failure> {
    if let Some(name) = &opts.name {
        init::check_cluster(name)?;
    }
    let asked = opts.hosts.is_empty();
    if asked && (!someone_is_there() || env.report.style().json) {
        return Err(Failure::new(Exit::Usage, "which hosts?")
            .next("zkops init root@192.168.17.130 root@192.168.17.131 root@192.168.17.132 -o orders.yml"));
    }
    let (wanted, out) = if asked { questions(opts)? } else { words(opts)? };
    let drafted = init::draft(&wanted)?;
    for warning in &drafted.warnings {
        env.caller.events.note(warning);
    }
    if let Some(path) = &out {
        let replace = opts.force || (path.exists() && agreed(path)?);
        init::write(path, &drafted.text, replace)?;
    }
    tell(env, &drafted, out.as_deref());
    Ok(Exit::Done)
}

fn tell(env: &Env, drafted: &Drafted, out: Option<&Path>) {
    env.report.value(drafted);
    let Some(path) = out.map(Path::display) else { return env.report.text(&drafted.text) };
    let count = drafted.members.len();
    let noun = if count == 1 { "member" } else { "members" };
    let mut text = format!("{path}: {} with {count} {noun}\n\n", drafted.cluster);
    if !drafted.local {
        text += &format!("  zkops ssh-setup {path}\n");
    }
    text += &format!("  zkops check {path}\n  zkops deploy {path}\n");
    env.report.text(&text);
}

fn words(opts: &Init) -> Result<(Wanted, Option<PathBuf>), Failure> {
    let wanted = Wanted {
        cluster: opts.name.clone().unwrap_or_else(|| name_after(opts.out.as_deref())),
        hosts: opts.hosts.iter().map(|host| HostWord::parse(host)).collect::<Result<_, _>>()?,
        file: shown(opts.out.as_deref()),
        ..Wanted::default()
    };
    Ok((wanted, opts.out.clone()))
}

/// A person gives what cannot be guessed, and sees the rest.
fn questions(opts: &Init) -> Result<(Wanted, Option<PathBuf>), Failure> {
    let hosts = ask("hosts, each as [user@]host[:port]", None)?;
    let hosts: Vec<HostWord> = hosts
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .map(HostWord::parse)
        .collect::<Result<_, _>>()?;
    let cluster = match &opts.name {
        Some(name) => name.clone(),
        None => cluster_name(opts.out.as_deref())?,
    };
    let local = hosts.first().is_some_and(HostWord::is_local);
    let user = match local || hosts.iter().all(|host| host.user.is_some()) {
        true => None,
        false => Some(ask("ssh user", Some("root"))?),
    };
    let Ports { client, quorum, election } = Ports::default();
    let ports = ask("client, quorum and election port", Some(&format!("{client} {quorum} {election}")))?;
    let ports = read_ports(&ports)?;
    let data_dir = match local {
        true => None,
        false => Some(ask("data directory", Some(init::DATA_DIR))?).filter(|dir| dir != init::DATA_DIR),
    };
    let out = match &opts.out {
        Some(path) => path.clone(),
        None => ask("write it to", Some(&format!("{cluster}.yml")))?.into(),
    };
    let wanted = Wanted { cluster, hosts, user, ports, data_dir, file: shown(Some(&out)) };
    Ok((wanted, Some(out)))
}

/// Asked again until it is one.
fn cluster_name(out: Option<&Path>) -> Result<String, Failure> {
    let input = Input::<String>::new().with_prompt("name of the cluster").default(name_after(out));
    let input =
        input.validate_with(|name: &String| init::check_cluster(name.trim()).map_err(|why| why.what.clone()));
    answered(input.interact_text())
}

fn ask(question: &str, default: Option<&str>) -> Result<String, Failure> {
    let mut input = Input::<String>::new().with_prompt(question);
    if let Some(default) = default {
        input = input.default(default.to_owned());
    }
    answered(input.interact_text())
}

fn answered(typed: dialoguer::Result<String>) -> Result<String, Failure> {
    let typed = typed.map(|text| text.trim().to_owned());
    typed.map_err(|why| Failure::new(Exit::Failed, format!("no answer: {why}")).state("nothing was written"))
}

fn agreed(path: &Path) -> Result<bool, Failure> {
    if !someone_is_there() {
        return Ok(false);
    }
    let text = format!("{} is there: replace it?", path.display());
    match Confirm::new().with_prompt(text).default(false).interact().unwrap_or(false) {
        true => Ok(true),
        false => Err(Failure::new(Exit::Failed, "not confirmed").state("nothing was written")),
    }
}

fn read_ports(text: &str) -> Result<Ports, Failure> {
    let words = text.split([' ', ',', '/']).filter(|word| !word.is_empty());
    match words.map(str::parse).collect::<Result<Vec<u16>, _>>().as_deref() {
        Ok([client, quorum, election]) => Ok(Ports { client: *client, quorum: *quorum, election: *election }),
        _ => {
            Err(Failure::new(Exit::Usage, format!("{text:?}: three ports are wanted, as in 2181 2888 3888")))
        }
    }
}

/// `orders.yml` is most likely that of a cluster called orders.
fn name_after(out: Option<&Path>) -> String {
    let stem = out.and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
    stem.unwrap_or_else(|| "zookeeper".to_owned())
}

fn shown(out: Option<&Path>) -> String {
    out.map_or_else(|| "INVENTORY".to_owned(), |path| path.display().to_string())
}
