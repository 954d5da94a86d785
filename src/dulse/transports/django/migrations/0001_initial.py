"""The tables of the broker, made by the statements of the sql transport; Django is told what they are like."""

from __future__ import annotations

from django.db import migrations, models

from dulse.transports.django.tables import drop, make


class Migration(migrations.Migration):
    """The tables, as schema 2 of dulse has them."""

    initial = True
    dependencies = ()
    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(make, drop)],
            state_operations=[
                migrations.CreateModel(
                    name="Queue",
                    fields=[("name", models.TextField(primary_key=True, serialize=False))],
                    options={
                        "managed": False,
                        "default_permissions": ("view",),
                        "permissions": (
                            ("move_queue", "Can move messages between queues"),
                            ("purge_queue", "Can purge queues"),
                        ),
                    },
                ),
                migrations.CreateModel(
                    name="Record",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("queue", models.TextField()),
                        ("step", models.BigIntegerField()),
                        ("since", models.BigIntegerField()),
                        ("dies", models.BigIntegerField(null=True)),
                        ("due", models.BigIntegerField(null=True)),
                        ("fresh", models.BigIntegerField()),
                        ("size", models.BigIntegerField()),
                        ("deliveries", models.BigIntegerField()),
                        ("owner", models.BigIntegerField(null=True)),
                        ("token", models.BigIntegerField(null=True)),
                        ("payload", models.BinaryField()),
                    ],
                    options={"db_table": "dulse_record", "default_permissions": ()},
                ),
                migrations.CreateModel(
                    name="Owner",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("name", models.TextField(unique=True)),
                        ("expires", models.BigIntegerField()),
                    ],
                    options={"db_table": "dulse_owner", "default_permissions": ()},
                ),
                migrations.CreateModel(
                    name="Limited",
                    fields=[
                        ("queue", models.TextField(primary_key=True, serialize=False)),
                        ("records", models.BigIntegerField(null=True)),
                        ("size", models.BigIntegerField(null=True)),
                    ],
                    options={"db_table": "dulse_limited", "default_permissions": ()},
                ),
                migrations.CreateModel(
                    name="Uncounted",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("queue", models.TextField()),
                    ],
                    options={"db_table": "dulse_uncounted", "default_permissions": ()},
                ),
                migrations.CreateModel(
                    name="Publisher",
                    fields=[
                        ("name", models.TextField(primary_key=True, serialize=False)),
                        ("number", models.BigIntegerField()),
                        ("seen", models.BigIntegerField()),
                    ],
                    options={"db_table": "dulse_publisher", "default_permissions": ()},
                ),
                migrations.CreateModel(
                    name="Group",
                    fields=[
                        ("name", models.TextField(primary_key=True, serialize=False)),
                        ("revision", models.BigIntegerField()),
                        ("since", models.BigIntegerField()),
                    ],
                    options={"db_table": "dulse_group", "default_permissions": ()},
                ),
                migrations.CreateModel(
                    name="Entry",
                    fields=[
                        ("grp", models.TextField()),
                        ("digest", models.BinaryField(primary_key=True, serialize=False)),
                        ("name", models.TextField()),
                        ("value", models.TextField()),
                    ],
                    options={"db_table": "dulse_entry", "default_permissions": ()},
                ),
            ],
        ),
    )
