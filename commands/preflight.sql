-- name: is_worked_on
SELECT EXISTS (SELECT FROM subscriptions WHERE name = 'deploy-worker' AND expires_at > clock_timestamp())
