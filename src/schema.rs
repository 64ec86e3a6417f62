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

diesel::joinable!(authtoken_token -> accounts_customuser (user_id));

diesel::allow_tables_to_appear_in_same_query!(accounts_customuser, authtoken_token, django_session,);
