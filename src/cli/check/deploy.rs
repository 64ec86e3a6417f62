//! Settings that are fine for a trial, and unsafe in production.

use std::collections::HashSet;
use std::time::Duration;

use django_auth::password::Algorithm;
use django_auth::secret_key::SecretKey;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::{Host, Url};

use super::finding::{Finding, note, warning};
use crate::auth::Storage;
use crate::auth::passwords::Stored;
use crate::settings::Settings;

const DAY: Duration = Duration::from_secs(86400);

/// From Django's check security.W009.
const SECRET_LENGTH: usize = 50;
const SECRET_VARIETY: usize = 5;

pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::from_iter(address(settings));
    for rules in [proxies, secrets, passwords, sessions, origins, operation] {
        rules(settings, &mut found);
    }
    found
}

fn address(settings: &Settings) -> Option<Finding> {
    match &settings.server.public_url {
        None => Some(warning(
            "PORTCULLIS_PUBLIC_URL is not set: cookies are sent without Secure, and links lead to the listen address; set it to what browsers see, such as https://login.example.org",
        )),
        Some(url) if url.scheme() == "https" => None,
        Some(url) if is_loopback(url) => Some(note(
            "PORTCULLIS_PUBLIC_URL is on this machine: users on other machines cannot log in; set it to what browsers see",
        )),
        Some(_) => Some(warning(
            "PORTCULLIS_PUBLIC_URL is not https: passwords and cookies can be read in transit; put TLS before this server and name its address here",
        )),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// This server speaks no TLS: with https, there is a proxy.
fn proxies(settings: &Settings, found: &mut Vec<Finding>) {
    let is_https = settings.server.is_https();
    // The widest networks that are private: 10.0.0.0/8 and fc00::/7.
    let is_wide = |net: &&IpNet| net.prefix_len() < if net.addr().is_ipv4() { 8 } else { 7 };
    let wide = settings.http.trusted_proxies.iter().find(is_wide);
    if is_https && settings.http.trusted_proxies.is_empty() {
        found.push(warning(
            "PORTCULLIS_TRUSTED_PROXIES is empty: TLS ends at a proxy, and behind it all clients look like one; list the proxy's address",
        ));
    }
    if let Some(net) = wide {
        found.push(warning(format!(
            "PORTCULLIS_TRUSTED_PROXIES has {net}: any machine there can claim any address; list only the proxies"
        )));
    }
    if is_https && !settings.server.bind.ip().is_loopback() {
        found.push(note(format!(
            "PORTCULLIS_BIND is {}: clients can bypass the proxy with plain http; bind to loopback, or let only the proxy through",
            settings.server.bind
        )));
    }
    if settings.http.allowed_hosts.iter().any(|host| host == "*") {
        found.push(warning(
            "PORTCULLIS_ALLOWED_HOSTS is *: any Host header is answered; list the names that browsers use",
        ));
    }
}

fn secrets(settings: &Settings, found: &mut Vec<Finding>) {
    let keys = &settings.secret_keys;
    let weak = |name: &str, key: &SecretKey| {
        weakness(key).map(|weakness| {
            warning(format!(
                "{name} {weakness}: an attacker who guesses it can make sessions and tokens; use {SECRET_LENGTH} random characters"
            ))
        })
    };
    let old = keys.fallbacks();
    let weak_old = |key| weak("PORTCULLIS_SECRET_KEY_FALLBACKS", key);
    found.extend(weak("PORTCULLIS_SECRET_KEY", keys.current()));
    found.extend(old.iter().find_map(weak_old));
    if !old.is_empty() {
        found.push(note(
            "PORTCULLIS_SECRET_KEY_FALLBACKS is set: sessions made with the old keys are still accepted; remove the keys when those have expired",
        ));
    }
}

fn weakness(key: &SecretKey) -> Option<&'static str> {
    let text = String::from_utf8_lossy(key.expose_bytes());
    if text.starts_with("django-insecure-") {
        Some("was made for development (django-insecure-)")
    } else if text.chars().count() < SECRET_LENGTH {
        Some("is shorter than 50 characters")
    } else if text.chars().collect::<HashSet<char>>().len() < SECRET_VARIETY {
        Some("has fewer than 5 different characters")
    } else {
        None
    }
}

/// ASVS 5.0, Appendix C. Django's scrypt has p = 5 and its Argon2 takes 100 MiB.
fn lowest_cost(algorithm: Algorithm) -> u32 {
    match algorithm {
        Algorithm::BcryptSha256 | Algorithm::Bcrypt => 10,
        Algorithm::Pbkdf2Sha256 => 600_000,
        Algorithm::Pbkdf2Sha1 => 1_300_000,
        Algorithm::Scrypt => 15,
        Algorithm::Argon2 => 1,
    }
}

fn passwords(settings: &Settings, found: &mut Vec<Finding>) {
    let length = settings.password_policy.min_length();
    if !settings.auth.throttle {
        found.push(warning(
            "PORTCULLIS_THROTTLE is off: passwords can be guessed without limit; remove the setting",
        ));
    }
    // What is set: on tables that Django made, the database decides the rest.
    if let Ok(hasher) = settings.hashing.hasher(&Stored::default())
        && hasher.cost() < lowest_cost(hasher.algorithm)
    {
        let (algorithm, cost) = (hasher.algorithm, hasher.cost());
        let lowest = lowest_cost(algorithm);
        found.push(warning(format!(
            "PORTCULLIS_PASSWORD_COST is {cost} for {algorithm}: stolen hashes are quick to crack; make it {lowest} or more"
        )));
    }
    if length < 8 {
        found.push(warning(format!(
            "PORTCULLIS_PASSWORD_MIN is {length}: passwords so short are guessed; make it 15, and 8 at least"
        )));
    }
    if (8..15).contains(&length) {
        found.push(note(format!(
            "PORTCULLIS_PASSWORD_MIN is {length}: 15 is recommended where there is no second factor; set it to 15"
        )));
    }
}

fn sessions(settings: &Settings, found: &mut Vec<Finding>) {
    let cookie = &settings.http.session_cookie;
    let is_shared = settings.auth.storage == Storage::Django;
    if settings.server.is_https() && !is_shared && !cookie.starts_with("__Host-") {
        found.push(note(format!(
            "PORTCULLIS_SESSION_COOKIE is {cookie}: a neighbouring domain can set a cookie of that name; call it __Host-sessionid"
        )));
    }
    if settings.auth.session_age > 30 * DAY {
        found.push(note(
            "PORTCULLIS_SESSION_AGE is over 30 days: a stolen cookie works that long; make it 30d or less",
        ));
    }
    if settings.auth.session_idle.is_none() {
        found.push(note(
            "PORTCULLIS_SESSION_IDLE is off: a forgotten session stays open; set it, such as 12h",
        ));
    }
    if is_shared {
        found.push(note(
            "PORTCULLIS_STORAGE is django: anyone who can read the database can use its tokens and sessions; remove the setting when no Django needs them",
        ));
    }
}

fn origins(settings: &Settings, found: &mut Vec<Finding>) {
    let plain = |origins: &[String]| origins.iter().any(|origin| origin.starts_with("http://"));
    let http = &settings.http;
    let wildcard = http.trusted_origins.iter().any(|o| o.contains('*'));
    if plain(&http.trusted_origins) {
        found.push(warning(
            "PORTCULLIS_TRUSTED_ORIGINS has an http origin: an attacker on the network can write in its name; list only https origins",
        ));
    }
    if wildcard {
        found.push(note(
            "PORTCULLIS_TRUSTED_ORIGINS has a wildcard: every subdomain may write in a user's name; list those that need to",
        ));
    }
    if plain(&http.cors_origins) {
        found.push(warning(
            "PORTCULLIS_CORS_ORIGINS has an http origin: an attacker on the network can read answers in its name; list only https origins",
        ));
    }
}

fn operation(settings: &Settings, found: &mut Vec<Finding>) {
    let url = &settings.database.url;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let auth = &settings.auth;
    let (threads, queue) = (auth.hash_threads.get(), auth.hash_queue.get());
    let filter = EnvFilter::try_new(&settings.log.filter).ok();
    let level = filter.and_then(|filter| filter.max_level_hint());
    if level.is_none_or(|level| level > LevelFilter::INFO) {
        found.push(warning(
            "PORTCULLIS_LOG is debug or trace: it fills disks and may log too much; use it only to find faults",
        ));
    }
    if !url.is_local() && !url.verifies_server() {
        found.push(warning(
            "DATABASE_URL does not verify the server: an attacker on the network can pose as the database; add sslmode=verify-full (README, TLS to PostgreSQL)",
        ));
    }
    if threads > 4 * cores {
        found.push(warning(format!(
            "PORTCULLIS_HASH_THREADS is {threads} on {cores} cores: each login takes longer and more memory; leave it unset"
        )));
    }
    if queue > 1000 {
        found.push(warning(format!(
            "PORTCULLIS_HASH_QUEUE is {queue}: logins wait longer than clients do, instead of getting a 503; make it 1000 or less"
        )));
    }
}
