//! Django's migrations of the user table while Portcullis serves.

use std::sync::atomic::{AtomicBool, Ordering};

use each_database::each_database;

use crate::asked::{Asked, python};
use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::database::Backend;
use crate::user_models::{BY_NAME, Model, Pair};

/// The key becomes a `bigint`, and the address may be longer. PostgreSQL refuses every
/// statement that was prepared before with "cached plan must not change result type".
#[each_database]
async fn a_migration_of_the_user_table_goes_unnoticed(backend: Backend) {
    let model = Model {
        name: "growing",
        ..BY_NAME
    };
    let pair = Pair::start(backend.create(), &model, &[]).await;
    if !pair.app.database.is_sqlite() {
        // So that it takes a while: requests wait for the lock, then meet the new table.
        pair.app.database.execute(
            "INSERT INTO users_user (password, is_superuser, username, first_name, last_name,
               email, is_staff, is_active, date_joined)
             SELECT '', FALSE, 'user' || n, '', '', '', FALSE, TRUE, now()
             FROM generate_series(1, 50000) n",
        );
    }
    let (app, is_over) = (&pair.app, AtomicBool::new(false));
    let [token, session] = pair.log_in("ann", PASSWORD).await.expect("a login");
    // As many at once as there are connections, so that all have prepared statements.
    let clients = (0..8).map(|n| use_it(app, n, &token, &session, &is_over));
    let migration = async {
        let (url, folder) = (app.database.url(), pair.folder.path().to_owned());
        let migration = tokio::task::spawn_blocking(move || {
            let grown = [("GROWN", "yes")];
            Asked::start(&python(), "growing", &url, &folder, &grown).migrate();
        });
        migration.await.expect("Django migrates");
        is_over.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(futures_util::future::join_all(clients), migration);

    let (seen, wrong) = seen
        .into_iter()
        .flatten()
        .partition::<Vec<u16>, _>(|status| *status == 200);
    assert_eq!(wrong, [0u16; 0], "beside {} good answers", seen.len());
    if !app.database.is_sqlite() {
        let types = "SELECT atttypid::regtype::text AS text FROM pg_attribute
             WHERE attrelid IN ('users_user'::regclass, 'authtoken_token'::regclass)
               AND attname IN ('id', 'user_id')";
        let types = app.database.texts(types);
        assert_eq!(
            types,
            [Some("bigint".to_owned()), Some("bigint".to_owned())]
        );
    }
}

/// The statuses of what one client does again and again, and once more when the
/// migration is over.
async fn use_it(
    app: &TestApp,
    client: usize,
    token: &str,
    session: &str,
    is_over: &AtomicBool,
) -> Vec<u16> {
    let mut seen = Vec::new();
    loop {
        let is_last = is_over.load(Ordering::Relaxed);
        let answers: [Answer; 3] = [
            app.user_by_token(token).await,
            app.user_by_session(session).await,
            app.log_in(&app.program(), ["ann", "bob"][client % 2], PASSWORD)
                .await,
        ];
        seen.extend(answers.iter().map(|answer| answer.status));
        if is_last {
            return seen;
        }
    }
}
