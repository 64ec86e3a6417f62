//! Portcullis first, Django later: by the very commands of `docs/django.md`.

use each_database::each_django;

use crate::case::Reference;
use crate::django::{Django, SHARED, in_project, interpreter, log_in};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::database::{Backend, TestDatabase};
use crate::support::program::{program_on, run};

/// The commands under "Django later", for a shell.
fn documented() -> String {
    let page = include_str!("../../docs/django.md");
    let (_, section) = page.split_once("\n## Django later\n").expect("the section");
    let (_, block) = section.split_once("```bash\n").expect("its commands");
    let (block, _) = block.split_once("```").expect("their end");
    // Only the list's indentation goes: Python's must stay.
    let lines = block
        .lines()
        .map(|line| line.strip_prefix("   ").unwrap_or(line));
    let lines: Vec<&str> = lines.collect();
    lines.join("\n")
}

fn run_documented(django: Reference, database: &TestDatabase) {
    let script = format!(
        "set -e\npython() {{ '{}' \"$@\"; }}\n{}",
        interpreter(django),
        documented()
    );
    let mut shell = in_project(django, "bash", &database.url());
    let output = shell.args(["-c", &script]).output().expect("bash");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

/// The tables that Django knows, with their columns, indexes and constraints.
fn schema(database: &TestDatabase) -> Vec<Option<String>> {
    database.texts(if database.is_sqlite() {
        // Django writes them in one line.
        "SELECT replace(replace(sql, ' ', ''), char(10), '') AS text FROM sqlite_schema
         WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'portcullis%' AND tbl_name NOT LIKE '%diesel%'
         ORDER BY 1"
    } else {
        "SELECT replace(text, current_schema() || '.', '') AS text FROM (
           SELECT table_name AS name, concat_ws(' ', table_name, column_name, data_type,
             character_maximum_length, is_nullable, is_identity) AS text
           FROM information_schema.columns WHERE table_schema = current_schema()
         UNION ALL
           SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = current_schema()
         UNION ALL
           SELECT relname, conname || ' ' || pg_get_constraintdef(c.oid)
           FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid
           WHERE connamespace = CAST(current_schema() AS regnamespace)
         ) AS everything
         WHERE name NOT LIKE 'portcullis%' AND name NOT LIKE '%diesel%' ORDER BY 1"
    })
}

#[each_django]
async fn the_tables_are_those_that_django_makes_by_itself(backend: Backend, django: Reference) {
    let [ours, theirs] = [backend.create(), backend.create()];
    let folder = tempfile::tempdir().unwrap();
    run(program_on(&ours, folder.path()).arg("migrate")).ok();
    let plain = in_project(django, &interpreter(django), &ours.url())
        .args(["manage.py", "migrate", "--verbosity", "0"])
        .output();
    let plain = plain.expect("Python");
    let why = String::from_utf8_lossy(&plain.stderr);
    assert!(
        why.contains("\"accounts_customuser\" already exists"),
        "{why}"
    );

    run_documented(django, &ours);
    let migrated = in_project(django, &interpreter(django), &theirs.url())
        .args(["manage.py", "migrate", "--verbosity", "0"])
        .status();
    assert!(migrated.expect("Python").success());

    let (ours, theirs) = (schema(&ours), schema(&theirs));
    assert!(ours.len() > 20, "{ours:?}");
    assert_eq!(ours, theirs);
}

#[each_django]
async fn nobody_is_logged_out_when_django_joins(backend: Backend, django: Reference) {
    let app = TestApp::start(&backend).await;
    app.create_user("alice", PASSWORD).await;
    let database = &app.database;
    let held = log_in(&app.url, "alice", PASSWORD).await;
    let passwords = || database.texts("SELECT password AS text FROM accounts_customuser");
    let before = passwords();

    run_documented(django, database);
    assert_eq!(
        held.by_token(&app.url).await,
        200,
        "while Portcullis answers"
    );
    app.handle.stop(true).await;
    let shared = app.start_another(&SHARED).await.url;
    let folder = tempfile::tempdir().unwrap();
    let command = |word| {
        let mut command = program_on(database, folder.path());
        run(command.envs(SHARED).arg(word)).ok().stdout()
    };
    assert!(command("unseal").contains("unsealed 1 tokens"));

    let hasher = [("NEIGHBOUR_HASHER", "BcryptSha256")];
    let django = Django::serve(django, database.url(), &hasher);
    assert_eq!(held.by_token(&django.url).await, 200);
    // Sealed until its browser comes to Portcullis.
    assert_eq!(held.by_session(&django.url).await, 401);
    assert_eq!(held.by_session(&shared).await, 200);
    assert!(command("check").contains("no problems found"));

    let theirs = log_in(&django.url, "alice", PASSWORD).await;
    assert_eq!(theirs.token, held.token);
    for url in [&django.url, &shared] {
        for held in [&held, &theirs] {
            assert_eq!(
                (held.by_token(url).await, held.by_session(url).await),
                (200, 200),
                "{url}"
            );
        }
    }
    assert_eq!(passwords(), before, "no hash was rewritten");

    let said = django.run(
        "from django.contrib.auth.models import Group, Permission
permissions = Permission.objects.filter(content_type__app_label='accounts')
def alice(): return CustomUser.objects.get(username='alice')
def may(): return [alice().has_perm('accounts.' + p) for p in ('view_customuser', 'add_customuser')]
print(may())
alice().user_permissions.add(permissions.get(codename='view_customuser'))
group = Group.objects.create(name='staff')
group.permissions.add(permissions.get(codename='add_customuser'))
alice().groups.add(group)
print(may())",
    );
    assert_eq!(said, "[False, False]\n[True, True]\n");
}
