-- name: is_worked_on
SELECT EXISTS (SELECT FROM subscriptions WHERE name = $1 AND expires_at > clock_timestamp())
