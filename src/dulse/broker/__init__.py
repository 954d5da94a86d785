"""What a RabbitMQ broker decides, over the catalogue of a store: pure, without waiting, clock or chance."""
