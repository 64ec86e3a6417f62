// @generated automatically by Diesel CLI.

diesel::table! {
    accounts_customuser (id) {
        id -> BigInt,
        password -> Text,
        last_login -> Nullable<Timestamp>,
        is_superuser -> Bool,
        username -> Text,
        first_name -> Text,
        last_name -> Text,
        email -> Text,
        is_staff -> Bool,
        is_active -> Bool,
        date_joined -> Timestamp,
    }
}

diesel::table! {
    authtoken_token (key) {
        key -> Text,
        created -> Timestamp,
        user_id -> BigInt,
    }
}

diesel::table! {
    django_session (session_key) {
        session_key -> Text,
        session_data -> Text,
        expire_date -> Timestamp,
    }
}

diesel::table! {
    portcullis_adopted_token (key) {
        key -> Text,
        encrypted -> Text,
    }
}

diesel::table! {
    portcullis_attempt (account, client) {
        account -> Text,
        client -> Text,
        failures -> BigInt,
        pending -> BigInt,
        pending_until -> BigInt,
        blocked_until -> BigInt,
        forget_at -> BigInt,
    }
}

diesel::table! {
    portcullis_client (user_id, client) {
        user_id -> Text,
        client -> Text,
        seen -> Timestamp,
    }
}

diesel::table! {
    portcullis_event (id) {
        id -> BigInt,
        at -> Timestamp,
        kind -> Text,
        user_id -> Nullable<Text>,
        username -> Text,
        address -> Text,
        door -> Text,
        request_id -> Text,
        detail -> Text,
    }
}

diesel::table! {
    portcullis_upgraded_hash (user_id, old_hash) {
        user_id -> Text,
        old_hash -> Text,
        new_hash -> Text,
        forget_at -> Timestamp,
    }
}

diesel::joinable!(authtoken_token -> accounts_customuser (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    accounts_customuser,
    authtoken_token,
    django_session,
    portcullis_adopted_token,
    portcullis_attempt,
    portcullis_client,
    portcullis_event,
    portcullis_upgraded_hash,
);
