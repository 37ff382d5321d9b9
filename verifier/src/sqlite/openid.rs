//! SQLite rows of OpenID4VP exchanges.

use carnet_service::store::WriteTransaction;
use sqlx::Row as _;
use zeroize::Zeroizing;

use super::{RowConnection, SqliteRows, unsigned_column};
use crate::store::{OpenIdExchange, ReadOpenIdExchanges, StoreError, WriteOpenIdExchanges};

impl<C: RowConnection> ReadOpenIdExchanges for SqliteRows<C> {
    async fn openid_exchange(&mut self, number: i64) -> Result<Option<OpenIdExchange>, StoreError> {
        let row = sqlx::query(
            "SELECT encryption_key, ephemeral_keys, response_code, request_object, client_id, nonce_objects \
             FROM openid_exchanges WHERE request = ?",
        );
        let Some(row) = row.bind(number).fetch_optional(&mut *self.0).await? else { return Ok(None) };
        let keys: String = row.try_get("ephemeral_keys")?;
        Ok(Some(OpenIdExchange {
            encryption_key: Zeroizing::new(row.try_get("encryption_key")?),
            ephemeral_keys: keys.split_whitespace().map(str::to_owned).collect(),
            response_code: row.try_get("response_code")?,
            request_object: row.try_get("request_object")?,
            client_id: row.try_get("client_id")?,
            nonce_objects: unsigned_column(&row, "nonce_objects")?,
        }))
    }
}

impl WriteOpenIdExchanges for SqliteRows<WriteTransaction> {
    async fn put_openid_exchange(&mut self, number: i64, exchange: &OpenIdExchange) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO openid_exchanges (request, encryption_key, ephemeral_keys, response_code, request_object, \
             client_id, nonce_objects) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request) DO UPDATE SET \
             encryption_key = excluded.encryption_key, ephemeral_keys = excluded.ephemeral_keys, \
             response_code = excluded.response_code, request_object = excluded.request_object, \
             client_id = excluded.client_id, nonce_objects = excluded.nonce_objects",
        )
        .bind(number)
        .bind(exchange.encryption_key.as_slice())
        .bind(exchange.ephemeral_keys.join(" "))
        .bind(&exchange.response_code)
        .bind(&exchange.request_object)
        .bind(&exchange.client_id)
        .bind(exchange.nonce_objects)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }
}
