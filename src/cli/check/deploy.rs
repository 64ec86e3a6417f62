//! Settings that are fine on a desk, and not where people log in.

use std::collections::HashSet;
use std::time::Duration;

use django_auth::password::Algorithm;
use django_auth::secret_key::SecretKey;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::{Host, Url};

use super::{Finding, note, warning};
use crate::settings::{Settings, Storage};

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

fn is_https(settings: &Settings) -> bool {
    let url = settings.public_url.as_ref();
    url.is_some_and(|url| url.scheme() == "https")
}

fn address(settings: &Settings) -> Option<Finding> {
    match &settings.public_url {
        None => Some(warning(
            "PORTCULLIS_PUBLIC_URL is not set: cookies are sent without Secure, and links lead to the listen address; set it to what browsers see, such as https://login.example.org",
        )),
        Some(url) if url.scheme() == "https" => None,
        Some(url) if is_loopback(url) => Some(note(
            "PORTCULLIS_PUBLIC_URL is on this machine: nobody else can log in; set it to what browsers see",
        )),
        Some(_) => Some(warning(
            "PORTCULLIS_PUBLIC_URL is not https: passwords and cookies can be read on the way; put TLS before this server and name its address here",
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
    let is_https = is_https(settings);
    // The widest networks that are private: 10.0.0.0/8 and fc00::/7.
    let is_wide = |net: &&IpNet| net.prefix_len() < if net.addr().is_ipv4() { 8 } else { 7 };
    let wide = settings.trusted_proxies.iter().find(is_wide);
    if is_https && settings.trusted_proxies.is_empty() {
        found.push(warning(
            "PORTCULLIS_TRUSTED_PROXIES is empty: TLS ends at a proxy, and behind it all clients look like one; list the proxy's address",
        ));
    }
    if let Some(net) = wide {
        found.push(warning(format!(
            "PORTCULLIS_TRUSTED_PROXIES has {net}: anybody there can claim to be any address; list the proxies alone"
        )));
    }
    if is_https && !settings.bind.ip().is_loopback() {
        found.push(note(format!(
            "PORTCULLIS_BIND is {}: whoever reaches it speaks plain http past the proxy; bind to loopback, or let only the proxy through",
            settings.bind
        )));
    }
    if settings.allowed_hosts.iter().any(|host| host == "*") {
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
                "{name} {weakness}: who guesses it can make sessions and tokens; use {SECRET_LENGTH} random characters"
            ))
        })
    };
    let old = keys.fallbacks();
    let weak_old = |key| weak("PORTCULLIS_SECRET_KEY_FALLBACKS", key);
    found.extend(weak("PORTCULLIS_SECRET_KEY", keys.current()));
    found.extend(old.iter().find_map(weak_old));
    if !old.is_empty() {
        found.push(note(
            "PORTCULLIS_SECRET_KEY_FALLBACKS is set: what was made under the old keys is still accepted; remove them when it has expired",
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

fn passwords(settings: &Settings, found: &mut Vec<Finding>) {
    let (algorithm, cost) = (settings.hasher.algorithm, settings.hasher.cost.get());
    // ASVS 5.0, Appendix C. Django's scrypt has p = 5 and its Argon2 takes 100 MiB.
    let lowest = match algorithm {
        Algorithm::BcryptSha256 | Algorithm::Bcrypt => 10,
        Algorithm::Pbkdf2Sha256 => 600_000,
        Algorithm::Pbkdf2Sha1 => 1_300_000,
        Algorithm::Scrypt => 15,
        Algorithm::Argon2 => 1,
    };
    let length = settings.password_policy.min_length();
    if !settings.throttle {
        found.push(warning(
            "PORTCULLIS_THROTTLE is off: passwords can be guessed without limit; remove the setting",
        ));
    }
    if cost < lowest {
        found.push(warning(format!(
            "PORTCULLIS_PASSWORD_COST is {cost} for {algorithm}: stolen hashes are quickly guessed at; make it {lowest} or more"
        )));
    }
    if length < 8 {
        found.push(warning(format!(
            "PORTCULLIS_PASSWORD_MIN is {length}: so short a password is guessed; make it 15, and 8 at least"
        )));
    }
    if (8..15).contains(&length) {
        found.push(note(format!(
            "PORTCULLIS_PASSWORD_MIN is {length}: 15 is recommended where nothing but a password is asked for; set it to 15"
        )));
    }
}

fn sessions(settings: &Settings, found: &mut Vec<Finding>) {
    let cookie = &settings.session_cookie;
    let is_shared = settings.storage == Storage::Django;
    if is_https(settings) && !is_shared && !cookie.starts_with("__Host-") {
        found.push(note(format!(
            "PORTCULLIS_SESSION_COOKIE is {cookie}: a neighbour domain can set one of that name; call it __Host-sessionid"
        )));
    }
    if settings.session_age > 30 * DAY {
        found.push(note(
            "PORTCULLIS_SESSION_AGE is over 30 days: a stolen cookie is good for as long; make it 30d or less",
        ));
    }
    if settings.session_idle.is_none() {
        found.push(note(
            "PORTCULLIS_SESSION_IDLE is off: a session that is forgotten somewhere stays open; set it, such as 12h",
        ));
    }
    if is_shared {
        found.push(note(
            "PORTCULLIS_STORAGE is django: who reads the database can use its tokens and sessions; remove the setting when no Django needs them",
        ));
    }
}

fn origins(settings: &Settings, found: &mut Vec<Finding>) {
    let plain = |origins: &[String]| origins.iter().any(|origin| origin.starts_with("http://"));
    let wildcard = settings.trusted_origins.iter().any(|o| o.contains('*'));
    if plain(&settings.trusted_origins) {
        found.push(warning(
            "PORTCULLIS_TRUSTED_ORIGINS has an http origin: who is on the way can write in its name; list https ones only",
        ));
    }
    if wildcard {
        found.push(note(
            "PORTCULLIS_TRUSTED_ORIGINS has a wildcard: every subdomain may write in a user's name; list those that do",
        ));
    }
    if plain(&settings.cors_origins) {
        found.push(warning(
            "PORTCULLIS_CORS_ORIGINS has an http origin: who is on the way can read answers in its name; list https ones only",
        ));
    }
}

fn operation(settings: &Settings, found: &mut Vec<Finding>) {
    let url = &settings.database_url;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (threads, queue) = (settings.hash_threads.get(), settings.hash_queue.get());
    let filter = EnvFilter::try_new(&settings.log).ok();
    let level = filter.and_then(|filter| filter.max_level_hint());
    if level.is_none_or(|level| level > LevelFilter::INFO) {
        found.push(warning(
            "PORTCULLIS_LOG is debug or trace: it fills disks and may tell more than is good; for finding faults only",
        ));
    }
    if !url.is_local() && !url.verifies_server() {
        found.push(warning(
            "DATABASE_URL does not verify the server: who is on the way can be the database; add sslmode=verify-full (README, TLS to PostgreSQL)",
        ));
    }
    if threads > 4 * cores {
        found.push(warning(format!(
            "PORTCULLIS_HASH_THREADS is {threads} on {cores} cores: each login only takes longer, and more memory; leave it unset"
        )));
    }
    if queue > 1000 {
        found.push(warning(format!(
            "PORTCULLIS_HASH_QUEUE is {queue}: logins wait longer than anybody does, where a 503 would say so; make it 1000 or less"
        )));
    }
}
