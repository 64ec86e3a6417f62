//! Memory, time to start, and size.

use std::{fs, net::SocketAddr, path::Path, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    Plan,
    checks::thousands,
    http::Client,
    load::{self, Load},
    process::{self, Memory},
    report::{Report, Row},
    seed::{Content, Database, System},
    server::{self, Server},
    stats::{Spread, short},
};

const STARTS: usize = 10;
/// For so long nobody asks anything before quiet connections are measured.
const SILENCE: Duration = Duration::from_secs(10);

pub fn run(plan: &Plan, work: &Path, report: &mut Report) -> Result<()> {
    let (users, connections) = if plan.quick {
        (10_000, 1000)
    } else {
        (1_000_000, 10_000)
    };
    let mut table = String::from("| | private MB | resident MB |\n| --- | --- | --- |\n");
    let mut line = |what: &str, limit: Option<f64>, memory: Memory| {
        table += &format!(
            "| {what} | {} | {} |\n",
            short(memory.private),
            short(memory.resident)
        );
        if let Some(limit) = limit {
            report.row(Row {
                what: format!("private memory, {what}, MB"),
                goal: format!("≤ {limit}"),
                measured: short(memory.private),
                met: Some(memory.private <= limit),
            });
        }
    };

    let small = Database::seed(work, "memory-small", System::Sqlite, &Content::of(1000))?;
    let server = Server::start(work, &small.url, &[])?;
    line("idle", Some(12.0), process::memory(server.pid())?);
    let open = connect(server.address, &small, 64)?;
    line(
        "64 connections, a token and a session check each",
        Some(20.0),
        process::memory(server.pid())?,
    );
    drop(open);
    drop(server);

    let large = Database::seed(work, "memory-large", System::Sqlite, &Content::of(users))?;
    let starts: Result<Vec<f64>> = (0..STARTS)
        .map(|_| Ok(Server::start(work, &large.url, &[])?.start.as_secs_f64() * 1e3))
        .collect();
    let starts = Spread::of(starts?);
    // Room for those that stay, and for wrk's beside them.
    let room = (connections * 2).to_string();
    let server = Server::start(work, &large.url, &[("PORTCULLIS_MAX_CONNECTIONS", &room)])?;
    let size = format!("{} users", thousands(users));
    line(
        &format!("{size}, idle"),
        None,
        process::memory(server.pid())?,
    );
    let mut open = connect(server.address, &large, connections)?;
    let crowd = format!("{size} and {} connections", thousands(connections));
    line(
        &format!("{crowd}, a token and a session check each"),
        None,
        process::memory(server.pid())?,
    );
    for subject in [load::TOKEN, load::SESSION] {
        Load::of(plan.seconds).run(subject, &large, server.pid(), server.address)?;
    }
    line(
        &format!("{crowd}, right after full load"),
        None,
        process::memory(server.pid())?,
    );
    ask_all(&mut open, &large)?;
    line(
        &format!("{crowd} that have all just asked"),
        None,
        process::memory(server.pid())?,
    );
    thread::sleep(SILENCE);
    line(
        &format!("the same, quiet for {} s", SILENCE.as_secs()),
        Some(160.0),
        process::memory(server.pid())?,
    );
    drop(open);

    report.row(Row {
        what: format!("start to first answer, {size}, ms, {STARTS} starts"),
        goal: "≤ 50".into(),
        measured: starts.to_string(),
        met: Some(starts.median <= 50.0),
    });
    let megabytes = fs::metadata(server::binary())?.len() as f64 / 1e6;
    report.row(Row {
        what: "binary, MB".into(),
        goal: "≤ 12".into(),
        measured: short(megabytes),
        met: Some(megabytes <= 12.0),
    });
    report.section(
        "Memory, SQLite",
        &format!("Private: pages that belong to no file. Resident holds the mapped pages of the database too.\n\n{table}"),
    );
    Ok(())
}

/// One more token check on each connection, all at once.
fn ask_all(open: &mut [Client], database: &Database) -> Result<()> {
    let header = format!("Authorization: Token {}", database.token(1));
    open.iter_mut().try_for_each(|client| {
        let status = client.get("/api/v1/user/", &header)?.status;
        ensure!(status == 200, "a check is answered {status}");
        Ok(())
    })
}

/// Connections that have each brought a token and a session, of another user.
fn connect(address: SocketAddr, database: &Database, count: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        let user = number * (database.users / count) + 1;
        let mut client = Client::new(address);
        for header in [
            format!("Authorization: Token {}", database.token(user)),
            format!("Cookie: sessionid={}", database.session(user)),
        ] {
            let answer = client.get("/api/v1/user/", &header);
            let answer = answer.with_context(|| format!("connection {number} of {count}"))?;
            ensure!(
                answer.status == 200,
                "a check is answered {}",
                answer.status
            );
        }
        clients.push(client);
    }
    Ok(clients)
}
