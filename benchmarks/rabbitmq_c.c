/* rabbitmq-c, the limit for a client: rabbitmq_c HOST PORT USER PASSWORD VHOST KIND SIZE CONFIRMS PREFETCH NO_ACK COUNT
   prints the client's CPU a message (us), the rate, and the latencies of ping, as JSON. */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#define QUEUE "dulse.bench.amqp"
#define WINDOW 1000

static amqp_connection_state_t link_;
static amqp_bytes_t queue, empty;
static uint64_t sent, confirmed;
static int confirms; /* 0: none, 1: each, 2: pipelined */

static void fail(const char *what) {
  fprintf(stderr, "rabbitmq-c: %s failed\n", what);
  exit(1);
}

static void check(const char *what) {
  if (amqp_get_rpc_reply(link_).reply_type != AMQP_RESPONSE_NORMAL) fail(what);
}

static double cpu(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static double now(void) {
  struct timespec read;
  clock_gettime(CLOCK_MONOTONIC, &read);
  return read.tv_sec + read.tv_nsec / 1e9;
}

static void confirms_until(uint64_t number) {
  amqp_frame_t frame;
  while (confirmed < number) {
    if (amqp_simple_wait_frame(link_, &frame) != AMQP_STATUS_OK) fail("waiting for a confirm");
    if (frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
      uint64_t tag = ((amqp_basic_ack_t *)frame.payload.method.decoded)->delivery_tag;
      if (tag > confirmed) confirmed = tag;
    }
    amqp_maybe_release_buffers(link_);
  }
}

static void publish(amqp_bytes_t body) {
  amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 1};
  if (amqp_basic_publish(link_, 1, empty, queue, 0, 0, &properties, body) != AMQP_STATUS_OK) fail("publishing");
  sent++;
  if (confirms == 1) confirms_until(sent);
  if (confirms == 2 && sent - confirmed >= WINDOW) confirms_until(sent - WINDOW / 2);
}

static void take(int acknowledge) {
  amqp_envelope_t envelope;
  amqp_maybe_release_buffers(link_);
  if (amqp_consume_message(link_, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL) fail("consuming");
  if (acknowledge && amqp_basic_ack(link_, 1, envelope.delivery_tag, 0)) fail("acknowledging");
  amqp_destroy_envelope(&envelope);
}

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

int main(int count_of_words, char **words) {
  if (count_of_words != 12) fail("reading the arguments");
  const char *kind = words[6];
  size_t size = strtoul(words[7], NULL, 10);
  long count = atol(words[11]), no_ack = atol(words[10]);
  confirms = strcmp(words[8], "each") == 0 ? 1 : strcmp(words[8], "pipelined") == 0 ? 2 : 0;
  empty = amqp_empty_bytes;
  queue = amqp_cstring_bytes(QUEUE);
  link_ = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(link_);
  if (!socket || amqp_socket_open(socket, words[1], atoi(words[2]))) fail("connecting");
  if (amqp_login(link_, words[5], 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, words[3], words[4]).reply_type !=
      AMQP_RESPONSE_NORMAL)
    fail("logging in");
  amqp_channel_open(link_, 1);
  check("opening a channel");
  if (confirms) amqp_confirm_select(link_, 1);
  amqp_bytes_t body = {size, malloc(size ? size : 1)};
  memset(body.bytes, 'x', size);
  int consuming = strcmp(kind, "publish") != 0;
  if (consuming) amqp_basic_qos(link_, 1, 0, (uint16_t)atoi(words[9]), 0);
  double *taken = calloc(count, sizeof(double));
  double used = cpu(), began = now();
  if (consuming) {
    amqp_basic_consume(link_, 1, queue, empty, 0, (amqp_boolean_t)no_ack, 0, amqp_empty_table);
    check("starting to consume");
  }
  for (long number = 0; number < count; number++) {
    double start = now();
    if (strcmp(kind, "consume")) publish(body);
    if (consuming) take(!no_ack);
    taken[number] = now() - start;
  }
  if (confirms) confirms_until(sent);
  amqp_queue_declare(link_, 1, queue, 1, 0, 0, 0, amqp_empty_table);
  check("asking whether all has come");
  used = cpu() - used;
  began = now() - began;
  qsort(taken, count, sizeof(double), compare);
  int ping = strcmp(kind, "ping") == 0;
  printf("{\"cpu\": %f, \"rate\": %f, \"p50\": %f, \"p99\": %f}\n", used / count * 1e6, count / began,
         ping ? taken[count / 2] * 1e6 : 0, ping ? taken[count * 99 / 100] * 1e6 : 0);
  free(taken);
  free(body.bytes);
  amqp_channel_close(link_, 1, AMQP_REPLY_SUCCESS);
  amqp_connection_close(link_, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(link_);
  return 0;
}
