"""The django transport, and the Django app that it needs: a broker in the tables and transactions of a project.

``INSTALLED_APPS = [..., "dulse.transports.django"]``, then ``manage.py migrate``, then ``Connection("django://")``.
What is published within ``transaction.atomic()`` is a part of that transaction. The tables are those of the sql
transport: programs without Django may use the same broker by ``postgresql://``.
"""
